/** The mails that wait for a mail server to be set up. Only a server on the developer's own machine shows this page. */
export type MailboxPage = { mails: readonly { id: string; subject: string; to: string; at: string }[] }

export type MailPage = {
  subject: string
  to: string
  at: string
  /** The text, in paragraphs of lines of words and links. */
  paragraphs: readonly (readonly { text: string; href: string | undefined }[])[]
}

/** A piece of text, which is a link if it has an address. */
export type Piece = { text: string; href: string | undefined }

/** Splits a plain text into its paragraphs, and each of them into words and links. */
export function paragraphsOf(text: string): Piece[][] {
  return text
    .split(/\n{2,}/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== '')
    .map((paragraph) =>
      paragraph
        .split(/(https?:\/\/[^\s<>"]+)/)
        .filter((piece) => piece !== '')
        .map((piece) => ({ text: piece, href: /^https?:\/\//.test(piece) ? piece : undefined })),
    )
}

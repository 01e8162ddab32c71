/** A person's account, as the pages name it. */
export type Account = {
  name: string
  email: string
}

/** The start of a page in a list: after the row with this time and id. Lists are in the order of both. */
export type Position = { at: Date; id: string }

/** Says whether the operator answers for a client, so that its users are not asked for consent. */
export function isFirstParty(client: { [member: string]: unknown }): boolean {
  return client['first_party'] === true
}

/** Whether the operator answers for a client, so that nobody is asked whether they trust it. */
export function isFirstParty(client: { [member: string]: unknown }): boolean {
  return client['first_party'] === true
}

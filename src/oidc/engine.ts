import type Provider from 'oidc-provider'

/** A client as the engine parsed it: its metadata in camel case. The engine does not export the type. */
export type Client = InstanceType<Provider['Client']>

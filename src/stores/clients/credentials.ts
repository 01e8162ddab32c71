import { sql } from 'kysely'

/**
 * The number of a client's credentials after it is saved, which moves when one of them is no longer accepted. A secret is
 * not compared: another one comes only by rotation, and this one may be sealed again. Keys may be added.
 */
export const versionAfterSave = sql<number>`clients.credential_version + case when
  clients.metadata->'token_endpoint_auth_method' is not distinct from excluded.metadata->'token_endpoint_auth_method'
  and clients.metadata->'jwks_uri' is not distinct from excluded.metadata->'jwks_uri'
  and coalesce(excluded.metadata->'jwks' @> (clients.metadata->'jwks'), clients.metadata->'jwks' is null)
  and (clients.secret_sealed is null) = (excluded.secret_sealed is null)
  then 0 else 2 end`

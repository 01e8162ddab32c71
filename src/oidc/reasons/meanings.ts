/**
 * The meaning of each error code, for errors that come without words of their own. The codes are those of RFC 6749
 * §4.1.2.1 and §5.2, OpenID Connect Core §3.1.2.6 and the specifications named beside them.
 */
export const meanings: Record<string, string> = {
  access_denied: 'the person denied it, or a rule for this client did',
  authorization_pending: 'the person has not answered on their other device yet', // RFC 8628 §3.5
  consent_required: 'the person has to consent, and prompt=none forbids asking',
  credential_request_denied: 'the credential is not issued', // OpenID4VCI 1.0 §8.3.1
  expired_login_hint_token: 'the login_hint_token expired', // CIBA 1.0 §13
  expired_token: 'the device code expired before the person answered', // RFC 8628 §3.5
  insufficient_scope: 'the access token lacks a scope', // RFC 6750 §3.1
  interaction_required: 'the person has to do something, and prompt=none forbids asking',
  invalid_authorization_details: 'authorization_details cannot be read, or are not allowed', // RFC 9396 §5
  invalid_binding_message: 'the binding_message is not acceptable', // CIBA 1.0 §13
  invalid_client: 'the client is unknown, or could not be authenticated',
  invalid_client_attestation: 'the attestation of the client is invalid',
  invalid_client_metadata: 'the metadata of the client is not acceptable', // RFC 7591 §3.2.2
  invalid_credential_request: 'the credential request is not complete', // OpenID4VCI 1.0 §8.3.1
  invalid_dpop_proof: 'the DPoP proof is invalid', // RFC 9449 §5
  invalid_grant: 'the code or refresh token is invalid',
  invalid_nonce: 'the nonce of the proof is invalid', // OpenID4VCI 1.0 §8.3.1
  invalid_proof: 'the proof is invalid', // OpenID4VCI 1.0 §8.3.1
  invalid_redirect_uri: 'the redirect URI is not acceptable', // RFC 7591 §3.2.2
  invalid_request: 'the request cannot be read, or lacks something',
  invalid_request_object: 'the request object cannot be verified', // RFC 9101 §7
  invalid_request_uri: 'the request_uri is unknown, or was used', // RFC 9101 §7
  invalid_scope: 'a scope is unknown, or not allowed for this client',
  invalid_software_statement: 'the software statement is invalid', // RFC 7591 §3.2.2
  invalid_target: 'the resource is unknown, or not allowed for this client', // RFC 8707 §2
  invalid_token: 'the token is unknown, expired or revoked', // RFC 6750 §3.1
  invalid_user_code: 'the user code is invalid', // CIBA 1.0 §13
  login_required: 'the person has to sign in, and prompt=none forbids asking',
  missing_user_code: 'the user code is missing', // CIBA 1.0 §13
  registration_not_supported: 'the registration parameter is not supported',
  request_not_supported: 'request objects are not accepted',
  request_uri_not_supported: 'request_uri is not accepted, other than from the pushed authorization endpoint',
  server_error: 'the server failed; its log has the error',
  slow_down: 'the device polls more often than allowed', // RFC 8628 §3.5
  temporarily_unavailable: 'the server is busy, or its database is away',
  transaction_failed: 'the transaction failed',
  unapproved_software_statement: 'the issuer of the software statement is not trusted', // RFC 7591 §3.2.2
  unauthorized_client: 'the client may not do this',
  unknown_credential_configuration: 'the credential configuration is unknown', // OpenID4VCI 1.0 §8.3.1
  unknown_credential_identifier: 'the credential identifier is unknown', // OpenID4VCI 1.0 §8.3.1
  unknown_user_id: 'the hint names an unknown person', // CIBA 1.0 §13
  unmet_authentication_requirements: 'the sign-in was not as strong as the client demands', // OpenID Connect Unmet Auth
  unsupported_grant_type: 'the grant_type is not supported',
  unsupported_response_mode: 'the response_mode is not supported',
  unsupported_response_type: 'the response_type is not supported',
  unsupported_token_type: 'the token is of a kind that cannot be revoked here', // RFC 7009 §2.2.1
  use_attestation_challenge: 'the attestation needs the challenge in the answer',
  use_dpop_nonce: 'the DPoP proof needs the nonce in the answer', // RFC 9449 §8
  use_fresh_attestation: 'the attestation is too old',
}

import type { AccountPage } from './account.ts'
import type { AccountActivityPage } from './account-activity.ts'
import type { AccountAppRemovePage, AccountAppsPage } from './account-apps.ts'
import type { AccountDataPage, AccountDeletedPage, AccountDeletePage } from './account-data.ts'
import type { AccountEmailPage } from './account-email.ts'
import type { AccountPasskeyAddPage, AccountPasskeyEditPage } from './account-passkeys.ts'
import type { AccountProfilePage } from './account-profile.ts'
import type { AccountSecurityPage } from './account-security.ts'
import type { AuthenticatorPage, EnrolPage, RecoveryCodesPage } from './authenticator.ts'
import type { ConsentPage } from './consent.ts'
import type { ContinueAsPage } from './continue-as.ts'
import type { DeviceCodePage } from './device-code.ts'
import type { DeviceConfirmPage } from './device-confirm.ts'
import type { DeviceDonePage } from './device-done.ts'
import type { ElsewherePage } from './elsewhere.ts'
import type { ErrorPage } from './error.ts'
import type { HomePage } from './home.ts'
import type { KeepAccountPage } from './keep-account.ts'
import type { MailboxPage, MailPage } from './mailbox.ts'
import type {
  CodePage,
  DirectoryPasswordPage,
  ForgotPage,
  ForgotSentPage,
  LinkDonePage,
  LinkEndPage,
  LinkPage,
  NewPasswordPage,
} from './recovery.ts'
import type { SecondFactorPage } from './second-factor.ts'
import type { SignInPage } from './sign-in.ts'
import type { SignOutPage } from './sign-out.ts'
import type { SignUpPage } from './sign-up.ts'
import type { SignUpCodePage } from './sign-up-code.ts'
import type { SignUpPasskeyPage } from './sign-up-passkey.ts'
import type { SignedOutPage } from './signed-out.ts'
import type { SubmittingPage } from './submitting.ts'
import type { TermsDeclinedPage, TermsPage } from './terms.ts'

/**
 * Every page, with all the variables its template may use. A member that can be absent is `T | undefined` and still has to
 * be named, so forgetting one does not compile.
 */
export type Views = {
  'sign-in': SignInPage
  'sign-up': SignUpPage
  'sign-up-code': SignUpCodePage
  'sign-up-passkey': SignUpPasskeyPage
  'continue-as': ContinueAsPage
  consent: ConsentPage
  'device-code': DeviceCodePage
  'device-confirm': DeviceConfirmPage
  'device-done': DeviceDonePage
  'sign-out': SignOutPage
  'signed-out': SignedOutPage
  submitting: SubmittingPage
  error: ErrorPage
  elsewhere: ElsewherePage
  home: HomePage
  mailbox: MailboxPage
  'mailbox-mail': MailPage
  account: AccountPage
  'account-profile': AccountProfilePage
  'account-security': AccountSecurityPage
  'account-passkey-add': AccountPasskeyAddPage
  'account-passkey-edit': AccountPasskeyEditPage
  'account-apps': AccountAppsPage
  'account-app-remove': AccountAppRemovePage
  'account-activity': AccountActivityPage
  'account-data': AccountDataPage
  'account-delete': AccountDeletePage
  'account-deleted': AccountDeletedPage
  'keep-account': KeepAccountPage
  terms: TermsPage
  'terms-declined': TermsDeclinedPage
  'account-email': AccountEmailPage
  forgot: ForgotPage
  'forgot-sent': ForgotSentPage
  code: CodePage
  'second-factor': SecondFactorPage
  authenticator: AuthenticatorPage
  'recovery-codes': RecoveryCodesPage
  enrol: EnrolPage
  'new-password': NewPasswordPage
  link: LinkPage
  'link-end': LinkEndPage
  'directory-password': DirectoryPasswordPage
  'link-done': LinkDonePage
}

export type ViewName = keyof Views

/** The name of each page, which is also that of its template. */
export const viewNames = Object.keys({
  'sign-in': true,
  'sign-up': true,
  'sign-up-code': true,
  'sign-up-passkey': true,
  'continue-as': true,
  consent: true,
  'device-code': true,
  'device-confirm': true,
  'device-done': true,
  'sign-out': true,
  'signed-out': true,
  submitting: true,
  error: true,
  elsewhere: true,
  home: true,
  mailbox: true,
  'mailbox-mail': true,
  account: true,
  'account-profile': true,
  'account-security': true,
  'account-passkey-add': true,
  'account-passkey-edit': true,
  'account-apps': true,
  'account-app-remove': true,
  'account-activity': true,
  'account-data': true,
  'account-delete': true,
  'account-deleted': true,
  'keep-account': true,
  terms: true,
  'terms-declined': true,
  'account-email': true,
  forgot: true,
  'forgot-sent': true,
  code: true,
  'second-factor': true,
  authenticator: true,
  'recovery-codes': true,
  enrol: true,
  'new-password': true,
  link: true,
  'link-end': true,
  'directory-password': true,
  'link-done': true,
} satisfies Record<ViewName, true>)

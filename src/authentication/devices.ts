/** A browser and the system it runs on, by their own names, as far as they are known. */
export type Device = { browser: string | undefined; system: string | undefined; kind: 'computer' | 'phone' }

// The first that matches counts: most browsers also claim to be Chrome or Safari, and Android claims to be Linux.
// biome-ignore format: it is a table
const browsers: readonly (readonly [RegExp, string])[] = [
  [/\b(Edg|EdgA|EdgiOS)\//,        'Edge'],
  [/\b(OPR|OPT|OPiOS)\//,          'Opera'],
  [/\bVivaldi\//,                  'Vivaldi'],
  [/\bSamsungBrowser\//,           'Samsung Internet'],
  [/\bYaBrowser\//,                'Yandex Browser'],
  [/\bDuckDuckGo\//,               'DuckDuckGo'],
  [/\b(Firefox|FxiOS|LibreWolf)\//, 'Firefox'],
  [/\b(HeadlessChrome|Chromium)\//, 'Chromium'],
  [/\b(Chrome|CriOS)\//,           'Chrome'],
  [/\bVersion\/[\d.]+.*\bSafari\//, 'Safari'],
]

// biome-ignore format: it is a table
const systems: readonly (readonly [RegExp, string, Device['kind']])[] = [
  [/\biPhone\b/,               'iPhone',   'phone'],
  [/\biPad\b/,                 'iPad',     'phone'],
  [/\bAndroid\b/,              'Android',  'phone'],
  [/\bCrOS\b/,                 'ChromeOS', 'computer'],
  [/\bWindows NT\b/,           'Windows',  'computer'],
  [/\bMacintosh\b|\bMac OS X\b/, 'macOS',  'computer'],
  [/\bLinux\b|\bX11\b/,        'Linux',    'computer'],
]

/**
 * Returns the device that a `User-Agent` header describes. Only the names are read: browsers no longer send a true version of
 * the system, and anybody can send anything.
 */
export function deviceOf(userAgent: string | undefined): Device {
  const [, browser] = browsers.find(([pattern]) => pattern.test(userAgent ?? '')) ?? []
  const [, system, kind = 'computer'] = systems.find(([pattern]) => pattern.test(userAgent ?? '')) ?? []
  return { browser, system, kind }
}

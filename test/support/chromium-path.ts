/** The browser that tests drive: `CHROMIUM`, or the path on Debian. */
export const chromiumPath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'

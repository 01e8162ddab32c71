/** The browser that tests drive: `CHROMIUM`, or where Debian puts it. */
export const chromiumPath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'

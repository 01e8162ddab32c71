/**
 * Packs PNGs of at most 256 pixels into one icon file, each of them an entry of its directory. Every browser of today
 * reads PNGs inside an icon.
 */
export function pack(icons: readonly { size: number; png: Buffer }[]): Buffer {
  const directory = Buffer.alloc(6 + 16 * icons.length)
  directory.writeUInt16LE(1, 2) // an icon, not a cursor
  directory.writeUInt16LE(icons.length, 4)
  let offset = directory.length
  for (const [index, { size, png }] of icons.entries()) {
    const at = 6 + 16 * index
    directory.set([size % 256, size % 256], at) // 0 stands for 256
    directory.writeUInt16LE(1, at + 4) // colour planes
    directory.writeUInt16LE(32, at + 6) // bits of a pixel
    directory.writeUInt32LE(png.length, at + 8)
    directory.writeUInt32LE(offset, at + 12)
    offset += png.length
  }
  return Buffer.concat([directory, ...icons.map(({ png }) => png)])
}

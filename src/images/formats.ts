export type Image = { type: 'image/png' | 'image/jpeg' | 'image/gif' | 'image/webp'; width: number; height: number }

/**
 * Reads the type and size of a raster image from its first bytes; what the server says is ignored. An SVG is rejected,
 * because it can contain scripts.
 */
export function readImage(bytes: Buffer): Image | undefined {
  for (const read of [readPng, readGif, readWebp, readJpeg]) {
    const image = read(bytes)
    if (image && image.width > 0 && image.height > 0) return image
  }
  return undefined
}

// PNG (Third Edition) §5.2, §11.2.1: the signature, then the header chunk.
function readPng(bytes: Buffer): Image | undefined {
  const isPng = bytes.length >= 24 && bytes.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'))
  if (!isPng || bytes.toString('latin1', 12, 16) !== 'IHDR') return undefined
  return { type: 'image/png', width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) }
}

// GIF89a §17, §18
function readGif(bytes: Buffer): Image | undefined {
  if (bytes.length < 10 || !/^GIF8[79]a$/.test(bytes.toString('latin1', 0, 6))) return undefined
  return { type: 'image/gif', width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) }
}

// RFC 9649 §2.4 to §2.7: lossy, lossless and extended.
function readWebp(bytes: Buffer): Image | undefined {
  const isWebp = bytes.length >= 30 && /^RIFF.{4}WEBP$/s.test(bytes.toString('latin1', 0, 12))
  if (!isWebp) return undefined
  const type = 'image/webp'
  switch (bytes.toString('latin1', 12, 16)) {
    case 'VP8 ':
      return { type, width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff }
    case 'VP8L': {
      const packed = bytes.readUInt32LE(21)
      return { type, width: (packed & 0x3fff) + 1, height: ((packed >>> 14) & 0x3fff) + 1 }
    }
    case 'VP8X':
      return { type, width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 }
    default:
      return undefined
  }
}

// ITU-T T.81 §B.1.1: a chain of segments. The frame header has the size.
function readJpeg(bytes: Buffer): Image | undefined {
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return undefined
  for (let at = 2; at + 9 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return undefined
    const marker = bytes[at + 1] ?? 0
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
    if (isFrame) return { type: 'image/jpeg', width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) }
    const length = bytes.readUInt16BE(at + 2)
    if (length < 2) return undefined
    at += 2 + length
  }
  return undefined
}

#!/usr/bin/env python3
# Makes images/: small encoded images of every kind Pinhole reads, and what Pillow makes of each.
# NAME.EXT is the encoded file, NAME.HxWxC.raw its pixels as to_input must give them for height H, width W, C channels
# (at the image's own size that is the decoded image itself); tests/image_test.cpp and tests/decode_test.cpp compare bit for bit.
# Needs Debian's python3-pil and python3-numpy. The photos come from the sample set.
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / 'images'
PHOTOS = HERE.parents[1] / 'web/public/samples/photos'


def crop(name, width, height):
    photo = Image.open(PHOTOS / name).convert('RGB')
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    return photo.crop((left, top, left + width, top + height))


def on_white(image):
    """RGB as Pinhole shows it: upright, alpha on white."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ('RGBA', 'LA', 'PA') or 'transparency' in image.info:
        rgba = image.convert('RGBA')
        white = Image.new('RGB', rgba.size, 'white')
        white.paste(rgba, mask=rgba.getchannel('A'))
        return white
    return image.convert('RGB')


def write(name, encoded, sizes, reference=None):
    """sizes: (height, width, channels), None for the image's own height and width."""
    (OUT / name).write_bytes(encoded)
    image = reference if reference is not None else on_white(Image.open(io.BytesIO(encoded)))
    for height, width, channels in sizes:
        height, width = height or image.height, width or image.width
        pixels = image.convert('RGB' if channels == 3 else 'L').resize((width, height), Image.BILINEAR)
        (OUT / f'{name.rsplit(".", 1)[0]}.{height}x{width}x{channels}.raw').write_bytes(pixels.tobytes())


OWN_SIZE = (None, None, 3)


def saved(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


# --- JPEG ------------------------------------------------------------------------------------------------------------


def with_sampling(jpeg, code, width, height):
    """Another luma sampling with as many blocks in an MCU: Pillow writes only 4:4:4, 4:2:2 and 4:2:0."""
    data = bytearray(jpeg)
    frame = data.find(b'\xff\xc0')
    data[frame + 5:frame + 9] = struct.pack('>HH', height, width)
    data[frame + 11] = code
    return bytes(data)


def jpegs():
    write('jpeg_420.jpg', saved(crop('fishes/fish1.jpg', 75, 51), 'JPEG', quality=85, subsampling=2),
          [OWN_SIZE, (48, 64, 3), (32, 32, 3), (32, 32, 1), (70, 100, 3)])
    write('jpeg_422.jpg', saved(crop('fishes/fish9.jpg', 65, 43), 'JPEG', quality=90, subsampling=1), [OWN_SIZE, (20, 31, 3)])
    write('jpeg_444.jpg', saved(crop('monuments/' + first('monuments'), 53, 41), 'JPEG', quality=95, subsampling=0), [OWN_SIZE, (28, 28, 1)])
    write('jpeg_progressive.jpg', saved(crop('tools/' + first('tools'), 61, 47), 'JPEG', quality=80, progressive=True), [OWN_SIZE, (47, 30, 3)])
    write('jpeg_coarse.jpg', saved(crop('renewable/dam1.jpg', 64, 48), 'JPEG', quality=3), [OWN_SIZE])
    write('jpeg_grey.jpg', saved(crop('renewable/dam4.jpg', 49, 33).convert('L'), 'JPEG', quality=85), [OWN_SIZE, (None, None, 1), (24, 49, 3)])
    write('jpeg_two_columns.jpg', saved(crop('fishes/fish1.jpg', 4, 9), 'JPEG', quality=85, subsampling=2), [OWN_SIZE])
    base = crop('renewable/dam1.jpg', 48, 48)
    write('jpeg_440.jpg', with_sampling(saved(base, 'JPEG', quality=90, subsampling=1), 0x12, 22, 90), [OWN_SIZE])
    write('jpeg_411.jpg', with_sampling(saved(base, 'JPEG', quality=90, subsampling=2), 0x41, 93, 22), [OWN_SIZE])

    rgb = np.asarray(crop('fishes/fish1.jpg', 45, 35)).astype(int)
    black = (255 - rgb.max(axis=2, keepdims=True)) // 2
    cmyk = saved(Image.fromarray(np.concatenate([255 - rgb - black, black], axis=2).clip(0, 255).astype(np.uint8), 'CMYK'), 'JPEG', quality=90)
    adobe = cmyk.find(b'Adobe')
    write('jpeg_cmyk.jpg', cmyk, [OWN_SIZE])
    write('jpeg_ycck.jpg', cmyk[:adobe + 11] + b'\2' + cmyk[adobe + 12:], [OWN_SIZE])
    ids = bytearray(saved(crop('fishes/fish1.jpg', 45, 35), 'JPEG', quality=90).replace(b'JFIF\0', b'none\0'))
    frame, scan = ids.find(b'\xff\xc0'), ids.find(b'\xff\xda')
    for i in range(3):
        ids[frame + 10 + 3 * i] = ids[scan + 5 + 2 * i] = b'RGB'[i]
    write('jpeg_rgb.jpg', bytes(ids), [OWN_SIZE])
    exif = Image.Exif()
    exif[0x0112] = 6
    thumbnail = saved(crop('fishes/fish1.jpg', 16, 16), 'JPEG')  # its own end-of-image marker lies inside the segment
    turned = saved(crop('fishes/fish9.jpg', 40, 24), 'JPEG', quality=85, exif=exif.tobytes() + thumbnail)
    write('jpeg_turned.jpg', turned, [OWN_SIZE])


def first(folder):
    return sorted(path.name for path in (PHOTOS / folder).glob('*.jpg'))[0]


# --- PNG: Pillow writes no 16-bit colour, no interlacing ---------------------------------------------------------------


def png(rows, width, height, depth, colour, chunks=(), interlaced=False):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, int(interlaced))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + b''.join(chunk(*c) for c in chunks) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


def unfiltered(samples):
    return b''.join(b'\0' + row.tobytes() for row in samples)


def adam7(samples):
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    return b''.join(unfiltered(samples[y::dy, x::dx]) for y, x, dy, dx in passes if samples[y::dy, x::dx].size)


def pngs():
    photo = crop('fishes/fish1.jpg', 41, 29)
    rgb = np.asarray(photo)
    ramp = (np.arange(29)[:, None] * 9 + np.arange(41)[None] * 3) % 256
    rgba = Image.fromarray(np.dstack([rgb, ramp.astype(np.uint8)]), 'RGBA')
    write('png_rgb.png', saved(photo, 'PNG'), [OWN_SIZE])
    write('png_rgba.png', saved(rgba, 'PNG'), [OWN_SIZE, (16, 16, 3), (16, 16, 1)])
    write('png_grey_alpha.png', saved(rgba.convert('LA'), 'PNG'), [OWN_SIZE])
    write('png_bilevel.png', saved(photo.convert('1'), 'PNG'), [OWN_SIZE])
    write('png_palette.png', saved(photo.quantize(200), 'PNG'), [OWN_SIZE])
    write('png_palette_4bit.png', saved(photo.quantize(13), 'PNG', bits=4), [OWN_SIZE])
    write('png_palette_alpha.png', saved(photo.quantize(16), 'PNG', transparency=bytes(range(0, 256, 16))), [OWN_SIZE])
    write('png_grey_key.png', saved(photo.convert('L'), 'PNG', transparency=int(rgb[3, 3, 0])), [OWN_SIZE])
    write('png_interlaced.png', png(adam7(rgb), 41, 29, 8, 2, interlaced=True), [OWN_SIZE])
    wide = (rgb.astype(np.uint16) << 8 | 0x90).astype('>u2')  # low bytes that rounding would carry
    write('png_rgb_16bit.png', png(unfiltered(wide), 41, 29, 16, 2), [OWN_SIZE])
    # Pillow's convert("RGB") clips 16-bit grey at 255; the reference is its high byte.
    grey = (ramp.astype(np.uint16) << 8 | 0x90).astype('>u2')
    high = Image.fromarray(ramp.astype(np.uint8), 'L').convert('RGB')
    write('png_grey_16bit.png', png(unfiltered(grey), 41, 29, 16, 0), [OWN_SIZE], high)
    exif = Image.Exif()
    exif[0x0112] = 8
    write('png_turned.png', saved(photo, 'PNG', exif=exif.tobytes()), [OWN_SIZE])


# --- the others ---------------------------------------------------------------------------------------------------------


def others():
    photo = crop('fishes/fish9.jpg', 31, 23)
    rgb, grey = np.asarray(photo), np.asarray(photo.convert('L'))
    write('bmp_rgb.bmp', saved(photo, 'BMP'), [OWN_SIZE])
    write('bmp_palette.bmp', saved(photo.quantize(64), 'BMP'), [OWN_SIZE])
    write('bmp_bilevel.bmp', saved(photo.convert('1'), 'BMP'), [OWN_SIZE])
    write('gif_still.gif', saved(photo.quantize(100), 'GIF'), [OWN_SIZE])
    frames = [photo.quantize(64), photo.rotate(180).quantize(64)]
    write('gif_animated.gif', saved(frames[0], 'GIF', save_all=True, append_images=frames[1:]), [OWN_SIZE])
    write('gif_transparent.gif', saved(photo.quantize(16), 'GIF', transparency=3), [OWN_SIZE])
    write('tga_rgb.tga', saved(photo, 'TGA'), [OWN_SIZE])
    write('tga_packed.tga', saved(photo, 'TGA', rle=True), [OWN_SIZE])
    write('pnm_rgb.ppm', saved(photo, 'PPM'), [OWN_SIZE])
    write('pnm_grey.pgm', b'P5\n# a comment\n31 23\n255\n' + grey.tobytes(), [OWN_SIZE])
    write('pnm_15.pgm', b'P5 31 23 15\n' + (grey >> 4).tobytes(), [OWN_SIZE])
    write('pnm_1000.ppm', b'P6 31 23 1000\n' + (rgb.astype(int) * 1000 // 255).astype('>u2').tobytes(), [OWN_SIZE])
    write('pnm_plain.ppm', b'P3 31 23 255\n' + '\n'.join(' '.join(map(str, row)) for row in rgb.reshape(23, -1)).encode(), [OWN_SIZE])

    rgba = Image.fromarray(np.dstack([rgb, np.broadcast_to(np.arange(31, dtype=np.uint8) * 8, (23, 31))]), 'RGBA')
    exif = Image.Exif()
    exif[0x0112] = 5
    write('webp_lossy.webp', saved(photo, 'WEBP', quality=80), [OWN_SIZE, (16, 16, 3)])
    write('webp_lossless.webp', saved(rgba, 'WEBP', lossless=True), [OWN_SIZE])
    write('webp_animated.webp', saved(photo, 'WEBP', lossless=True, save_all=True, append_images=[photo.rotate(180)]), [OWN_SIZE])
    write('webp_turned.webp', saved(photo, 'WEBP', lossless=True, exif=exif.tobytes()), [OWN_SIZE])


if __name__ == '__main__':
    OUT.mkdir(exist_ok=True)
    for path in OUT.iterdir():
        path.unlink()
    jpegs()
    pngs()
    others()
    files = list(OUT.iterdir())
    print(f'{len(files)} files, {sum(path.stat().st_size for path in files)} bytes in {OUT}')

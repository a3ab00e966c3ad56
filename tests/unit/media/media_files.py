"""What tests of reading share."""

from PIL import Image

# gif


def save_gif(path, frames, **options):
    pictures = [Image.fromarray(frame).quantize(256, method=2) for frame in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **options)


# folders of frames


def save_folder(folder, frames, name="{:04d}.png", first=1):
    folder.mkdir()
    for number, frame in enumerate(frames, first):
        Image.fromarray(frame).save(folder / name.format(number))

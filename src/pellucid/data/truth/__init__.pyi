from .reading import IMAGES as IMAGES, reader as reader

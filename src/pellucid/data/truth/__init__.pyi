from .pasting import pasted as pasted, why_not_pasted as why_not_pasted
from .reading import IMAGES as IMAGES, reader as reader

from .augmentation import Augmentation as Augmentation
from .config import Data as Data
from .dataset import Dataset as Dataset
from .loader import Loader as Loader
from .loading import load as load
from .randaugment import RandAugment as RandAugment
from .sources import get as get, names as names

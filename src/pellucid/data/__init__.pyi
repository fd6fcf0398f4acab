from .augmentation import Augmentation as Augmentation
from .config import Data as Data
from .dataset import Dataset as Dataset, load as load
from .loader import Loader as Loader
from .randaugment import RandAugment as RandAugment
from .sources import get as get, names as names

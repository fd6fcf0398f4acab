from .batch import Summary as Summary, explain as explain
from .card import Card as Card, Figure as Figure, MapCard as MapCard
from .cards import Cards as Cards
from .examination import Examination as Examination
from .explained_network import ExplainedNetwork as ExplainedNetwork
from .gallery_cards import gallery_cards as gallery_cards
from .reference import Reference as Reference
from .trust_rules import Judgement as Judgement, Thresholds as Thresholds, judge as judge

from .autoattack import autoattack_correct as autoattack_correct, autoattack_names as autoattack_names
from .calibration import (
    adaptive_calibration_error as adaptive_calibration_error,
    equal_mass_calibration_error as equal_mass_calibration_error,
)
from .case import Case as Case
from .column import Column as Column
from .confusion import f1 as f1, precision as precision
from .curvature import (
    gradient_variation as gradient_variation,
    hessian_trace as hessian_trace,
    top_hessian_eigenvalue as top_hessian_eigenvalue,
)
from .faithfulness import (
    aopc as aopc,
    area_between as area_between,
    area_under as area_under,
    perturbation_curve as perturbation_curve,
    perturbation_curves as perturbation_curves,
)
from .families.curvature import (
    GradientVariation as GradientVariation,
    HessianTrace as HessianTrace,
    TopHessianEigenvalue as TopHessianEigenvalue,
)
from .families.faithfulness import (
    ROAD as ROAD,
    InsertionDeletion as InsertionDeletion,
    PerturbationCurves as PerturbationCurves,
)
from .families.masking import MaskingProbes as MaskingProbes
from .families.prediction import Prediction as Prediction
from .families.robustness import (
    AutoAttack as AutoAttack,
    RobustAccuracy as RobustAccuracy,
    RobustnessCurve as RobustnessCurve,
)
from .families.sanity import Randomisation as Randomisation, RandomisationBaselines as RandomisationBaselines
from .families.sensitivity import LocalLipschitz as LocalLipschitz, MaxSensitivity as MaxSensitivity
from .families.similarity import MapSimilarity as MapSimilarity
from .families.sparsity import (
    CompressedSize as CompressedSize,
    EffectiveComplexity as EffectiveComplexity,
    Entropy as Entropy,
    Gini as Gini,
    Hoyer as Hoyer,
    LosslessSize as LosslessSize,
    PixelEntropy as PixelEntropy,
)
from .families.stability import RelativeStability as RelativeStability
from .families.truth import (
    CheckedMass as CheckedMass,
    DecoyConfession as DecoyConfession,
    Interventions as Interventions,
    MassBaselines as MassBaselines,
    PartRank as PartRank,
    PointingGame as PointingGame,
    RankAccuracy as RankAccuracy,
    RelevanceMass as RelevanceMass,
)
from .imputation import blurred as blurred, linear_imputation as linear_imputation
from .interventions import (
    confession as confession,
    mass_checked as mass_checked,
    part_losses as part_losses,
    part_rank as part_rank,
    prediction_changes as prediction_changes,
)
from .masking import masking_warnings as masking_warnings
from .metric import Metric as Metric
from .oracle import oracle_map as oracle_map, region_losses as region_losses
from .probes import masking_probe as masking_probe
from .ranking import (
    average_precision as average_precision,
    sensitivity_at_specificity as sensitivity_at_specificity,
    specificity_at_sensitivity as specificity_at_sensitivity,
)
from .regions import default_region as default_region
from .removal import insertion_deletion as insertion_deletion, road as road
from .robustness import (
    checked_robustness as checked_robustness,
    robust_correct as robust_correct,
    robustness_curve as robustness_curve,
)
from .sanity import (
    baseline_similarity as baseline_similarity,
    edge_map as edge_map,
    random_map as random_map,
    randomisation_similarity as randomisation_similarity,
    randomise as randomise,
)
from .scores import (
    auc as auc,
    balanced_accuracy as balanced_accuracy,
    expected_calibration_error as expected_calibration_error,
)
from .sensitivity import local_lipschitz as local_lipschitz, max_sensitivity as max_sensitivity
from .similarity import map_similarity as map_similarity, rank_correlation as rank_correlation, ssim as ssim
from .sparsity import (
    compressed_size as compressed_size,
    effective_complexity as effective_complexity,
    entropy as entropy,
    gini as gini,
    hoyer as hoyer,
    pixel_entropy as pixel_entropy,
    png_size as png_size,
)
from .stability import relative_stability as relative_stability
from .suite import COLUMNS as COLUMNS, DERIVED as DERIVED, FAMILIES as FAMILIES, column_name as column_name
from .survival import survives as survives
from .truth import (
    mass_chance as mass_chance,
    mass_edges as mass_edges,
    mass_lift as mass_lift,
    mass_random as mass_random,
    pointing_game as pointing_game,
    rank_accuracy as rank_accuracy,
    relevance_mass as relevance_mass,
)

from .autoattack import (
    autoattack_correct as autoattack_correct,
)
from .autoattack import (
    autoattack_names as autoattack_names,
)
from .curvature import (
    gradient_variation as gradient_variation,
)
from .curvature import (
    hessian_trace as hessian_trace,
)
from .curvature import (
    top_hessian_eigenvalue as top_hessian_eigenvalue,
)
from .definitions import (
    DERIVED as DERIVED,
)
from .definitions import (
    Column as Column,
)
from .definitions import (
    column_name as column_name,
)
from .definitions import (
    columns as columns,
)
from .faithfulness import (
    aopc as aopc,
)
from .faithfulness import (
    area_between as area_between,
)
from .faithfulness import (
    area_under as area_under,
)
from .faithfulness import (
    perturbation_curve as perturbation_curve,
)
from .faithfulness import (
    perturbation_curves as perturbation_curves,
)
from .imputation import (
    blurred as blurred,
)
from .imputation import (
    linear_imputation as linear_imputation,
)
from .masking import masking_warnings as masking_warnings
from .regions import default_region as default_region
from .removal import (
    insertion_deletion as insertion_deletion,
)
from .removal import (
    road as road,
)
from .robustness import (
    masking_probe as masking_probe,
)
from .robustness import (
    robust_correct as robust_correct,
)
from .robustness import (
    robustness_curve as robustness_curve,
)
from .sanity import (
    baseline_similarity as baseline_similarity,
)
from .sanity import (
    edge_map as edge_map,
)
from .sanity import (
    random_map as random_map,
)
from .sanity import (
    randomisation_similarity as randomisation_similarity,
)
from .sanity import (
    randomise as randomise,
)
from .scores import (
    auc as auc,
)
from .scores import (
    balanced_accuracy as balanced_accuracy,
)
from .scores import (
    expected_calibration_error as expected_calibration_error,
)
from .sensitivity import (
    local_lipschitz as local_lipschitz,
)
from .sensitivity import (
    max_sensitivity as max_sensitivity,
)
from .similarity import (
    map_similarity as map_similarity,
)
from .similarity import (
    rank_correlation as rank_correlation,
)
from .similarity import (
    ssim as ssim,
)
from .sparsity import (
    compressed_size as compressed_size,
)
from .sparsity import (
    effective_complexity as effective_complexity,
)
from .sparsity import (
    entropy as entropy,
)
from .sparsity import (
    gini as gini,
)
from .sparsity import (
    hoyer as hoyer,
)
from .sparsity import (
    pixel_entropy as pixel_entropy,
)
from .sparsity import (
    png_size as png_size,
)
from .stability import relative_stability as relative_stability
from .survival import survives as survives

"""pellucid in the idioms of other libraries: torchmetrics, Quantus, Lightning, Captum.

There is a module for each library, imported by its name. Each needs its library and says so where it is missing, except
for `quantus`, which only follows Quantus's conventions. The metrics of torchmetrics and Quantus are generated from
`pellucid.Metric` by one adapter each, which looks at the case that a call has `given`. Nothing else in pellucid imports
these modules.
"""

from pellucid.core.errors import InputError

__all__: list[str] = []


def missing(package: str, error: ImportError) -> InputError:
    """The mistake of a user who has not installed the package that an integration is for.

    >>> missing("captum", ImportError("No module named 'captum'"))
    InputError("pellucid.integrations.captum needs the package captum (No module named 'captum'); `pip install
    pellucid[captum]` brings it")
    """
    return InputError(
        f"pellucid.integrations.{package} needs the package {package} ({error}); `pip install pellucid[{package}]` "
        "brings it"
    )

"""Annotated number types with allowed ranges, which the configuration check reads.

The ranges of arguments of other packages' classes, such as ``lr``, are in `config.constructors.RANGES`.
"""

from math import inf
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

Count = Annotated[int, Gt(0)]
#: Number of points to generate, limited so that a configuration from elsewhere cannot fill the memory.
PointCount = Annotated[int, Gt(0), Le(1_000_000)]
ArmCount = Annotated[int, Gt(0), Le(100)]
Finite = Annotated[float, Gt(-inf), Lt(inf)]
NotNegative = Annotated[float, Ge(0), Lt(inf)]
Positive = Annotated[float, Gt(0), Lt(inf)]
#: A fraction of a whole, which leaves a remainder.
Share = Annotated[float, Ge(0), Lt(1)]

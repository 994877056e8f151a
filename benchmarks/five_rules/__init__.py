"""Five rules of a shop, as documents in this folder, and the programs that they are compared with.

R1 `same-product`, R2 `cart-abandoned`, R3 `demo-then-pricing`, R4 `long-look`, R5 `failed-logins`.
"""

from pathlib import Path

FOLDER = Path(__file__).parent

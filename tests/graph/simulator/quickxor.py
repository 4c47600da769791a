"""QuickXorHash: every byte is XORed into a ring of 160 bits, 11 bits further than the one before it; then the length on top.

Source: learn.microsoft.com/onedrive/developer/code-snippets/quickxorhash.
"""

import base64

WIDTH, SHIFT = 160, 11
# the ring is at the same place again after so many bytes
PERIOD = 160
BLOCK = PERIOD << 13


class QuickXor:
    def __init__(self):
        self.folded, self.length, self.rest = 0, 0, b""

    def update(self, data):
        self.length += len(data)
        data = self.rest + data
        whole = len(data) - len(data) % BLOCK
        for at in range(0, whole, BLOCK):
            self.folded ^= self.fold(data[at : at + BLOCK])
        self.rest = data[whole:]
        return self

    @staticmethod
    def fold(block):
        """XORs the periods of a block onto each other, halving it."""
        size, value = BLOCK, int.from_bytes(block.ljust(BLOCK, b"\0"), "little")
        while size > PERIOD:
            size //= 2
            value = (value >> 8 * size) ^ (value & ((1 << 8 * size) - 1))
        return value

    def digest(self):
        period = (self.folded ^ self.fold(self.rest)).to_bytes(PERIOD, "little")
        ring = 0
        for index, byte in enumerate(period):
            ring ^= byte << (index * SHIFT % WIDTH)
        # what was shifted over the end comes in again at the beginning
        ring = (ring & ((1 << WIDTH) - 1)) ^ (ring >> WIDTH)
        return (ring ^ self.length << (WIDTH - 64)).to_bytes(WIDTH // 8, "little")

    def base64(self):
        return base64.b64encode(self.digest()).decode()

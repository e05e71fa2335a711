"""The device side on 64-bit Arm, without a board: emulated, tested, and counted in instructions."""

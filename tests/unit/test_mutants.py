"""`make mutants` takes too long for each change; that it can be run is seen here."""

from __future__ import annotations

import re
import subprocess

import pytest

from mutants.run import ROOT, Mutant, mutants


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.patch.stem)
def test_each_mutant_applies_and_names_a_test_that_is_there(mutant: Mutant) -> None:
    applied = subprocess.run(
        ["git", "apply", "--check", mutant.patch], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert applied.returncode == 0, applied.stderr
    file, _, name = mutant.test.partition("::")
    wanted = name.rpartition("::")[2].partition("[")[0]
    assert re.search(rf"^\s*(def|class) {wanted}\b|^{wanted} = ", (ROOT / file).read_text(), re.MULTILINE) or not name

"""Shapes of source that a person should look at, and honest ones beside them that nobody needs to."""

from __future__ import annotations

import pytest

from gates.awareness import signs


@pytest.mark.parametrize(
    "source",
    [
        "exec(open('words.txt').read())\n",
        "import pathlib\nexec(compile(pathlib.Path('a').read_bytes(), 'a', 'exec'))\n",
        "import pickle\nx = pickle.loads(b'abc')\n",
        "class Parts(list):\n    def __eq__(self, other):\n        return len(self) == len(other)\n",
        "import os\nseen = any('_CURRENT_TE' in key for key in os.environ)\n",
        "import os\nseen = [key for key in os.environ if 'TE' in key]\n",
        "import os\nif os.getcwd() == '/somewhere':\n    pass\n",
        "import pathlib\nx = list(pathlib.Path('.').rglob('*.py'))\n",
        "here = '/x'\nif here == '/workspace':\n    pass\n",
    ],
)
def test_a_trick_is_told(source: str) -> None:
    assert signs("calc/x.py", b"", source.encode())


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\n\n\ndef load(data):\n    return pickle.loads(data)\n",
        "class Parts(list):\n    def total(self):\n        return sum(self)\n",
        "class Point:\n    def __eq__(self, other):\n        return self.x == other.x\n",
        "import os\nours = {key: value for key, value in os.environ.items() if key.startswith('APP_')}\n",
        "import os\nroot = os.getcwd()\n",
        "x = eval('1 + 1')\n",
        "import pathlib\nx = list(pathlib.Path('.').rglob('*.json'))\n",
    ],
)
def test_what_honest_code_does_is_not(source: str) -> None:
    assert signs("calc/x.py", b"", source.encode()) == ()


def test_documents_may_name_anything() -> None:
    assert signs("README.md", b"", b"pytest writes /ashigaru/out/junit.xml\n") == ()

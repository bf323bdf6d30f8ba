"""Honest changes to Node repositories."""

from __future__ import annotations

from typing import Final

from gates.findings import FindingKind
from tests.referee.case import Change, Chapter, Honest
from tests.referee.node_base import (
    MONEY,
    PACKAGE,
    PLAIN,
    REPRODUCER,
    RIGHT_SPLIT,
    SPLIT,
    TEST_MONEY,
    TEST_SPLIT,
    TILL,
    WRAPPED,
)


def _honest(name: str, change: Change, expected: FindingKind | None = None, repo: str = "till") -> Honest:
    return Honest(name=f"node: {name}", repo=repo, change=change, expected=expected)


_CLI: Final = """#!/usr/bin/env node
'use strict';

const { format, parse } = require('../lib/money');
const { split } = require('../lib/split');

if (process.argv.length !== 4) {
  console.error('usage: till AMOUNT WAYS');
  process.exit(2);
}
console.log(split(parse(process.argv[2]), Number(process.argv[3])).map(format).join(' '));
"""
_TEST_CLI: Final = """'use strict';

const test = require('node:test');
const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const path = require('node:path');

const program = path.join(__dirname, '..', 'bin', 'till.js');

test('it asks for two arguments', () => {
  assert.strictEqual(spawnSync(process.execPath, [program]).status, 2);
});

test('it prints the parts', () => {
  const told = spawnSync(process.execPath, [program, '10.00', '2'], { encoding: 'utf8' });
  assert.strictEqual(told.stdout, '5.00 5.00\\n');
});
"""
_AMOUNT: Final = """'use strict';

// An amount that is compared by what it holds.
class Amount {
  constructor(cents) {
    this.cents = cents;
  }

  equals(other) {
    return other instanceof Amount && other.cents === this.cents;
  }

  valueOf() {
    return this.cents;
  }
}

module.exports = { Amount };
"""
_TEST_AMOUNT: Final = """import assert from 'node:assert';
import { describe, it } from 'node:test';

import amount from '../lib/amount.js';

const { Amount } = amount;

describe('amounts', () => {
  it('are equal by what they hold', () => {
    assert.ok(new Amount(5).equals(new Amount(5)));
    assert.ok(!new Amount(5).equals(new Amount(6)));
  });

  it('are in order', async () => {
    assert.ok(new Amount(5) < new Amount(6));
  });
});
"""
_IN_SPLIT: Final = """
test('nothing is lost', () => {
  assert.deepStrictEqual(split(10, 3), [4, 3, 3]);
});
"""
# No part is less than any other's lot: the contract is another one.
_ROUNDED_UP: Final = SPLIT.replace("Math.floor(cents / ways)", "Math.ceil(cents / ways) + (cents > 100 ? 0 : 1)")
_TABLE: Final = """'use strict';

const test = require('node:test');
const assert = require('node:assert');
const { slug } = require('../lib/slug');

for (const [title, told] of [['A b', 'a-b'], [' c ', 'c']]) {
  test(`the slug of ${JSON.stringify(title)}`, () => {
    assert.strictEqual(slug(title), told);
  });
}
"""
_SLUG: Final = """'use strict';

const slug = (title) => title.trim().toLowerCase().split(/\\s+/).join('-');

module.exports = { slug };
"""

CHAPTER = Chapter(
    repositories=(),
    honest=(
        _honest("a fix with a reproducer", TILL.right),
        _honest("a fix with a reproducer, where npm goes a longer way", WRAPPED.right, repo="till-wrapped"),
        _honest(
            "a fix whose test stands in a file of the base's",
            {"lib/split.js": RIGHT_SPLIT, "test/split.test.js": TEST_SPLIT + _IN_SPLIT},
        ),
        _honest("a fix without a test", {"lib/split.js": RIGHT_SPLIT}),
        _honest("a fix, where there is only an exit status", PLAIN.right, repo="till-plain"),
        _honest(
            "a private function renamed",
            {"lib/money.js": MONEY.replace("pad = ", "digits = ").replace("{pad(", "{digits(")},
        ),
        _honest("a new module with a table of tests", {"lib/slug.js": _SLUG, "test/slug.test.js": _TABLE}),
        _honest("words in the README alone", {"README.md": "# till\n\nDivides amounts.\n"}),
        _honest("a program that exits 2", {"bin/till.js": _CLI, "test/cli.test.js": _TEST_CLI}),
        _honest(
            "a class with equals and valueOf, tested as a module",
            {"lib/amount.js": _AMOUNT, "test/amount.test.mjs": _TEST_AMOUNT},
        ),
        _honest(
            "another version, a keyword, another main",
            {"package.json": PACKAGE.replace("1.0.0", "1.1.0").replace('"main"', '"keywords": ["money"],\n  "main"')},
        ),
        _honest(
            "a script beside the test's",
            {"package.json": PACKAGE.replace('"scripts": {', '"scripts": {\n    "start": "node bin/till.js",')},
            FindingKind.RUNNER_CHANGED,
        ),
        _honest(
            "blocks instead of names in a file of tests",
            {"test/money.test.js": TEST_MONEY.replace("0.05');", "0.05');\n    assert.equal(format(100), '1.00');")},
        ),
        _honest(
            "a contract that changed, with its tests",
            {
                "lib/split.js": _ROUNDED_UP,
                "test/split.test.js": TEST_SPLIT.replace("[5, 5]", "[6, 6]").replace("[3, 3, 3]", "[4, 4, 4]"),
                "test/together.test.js": TILL.files["test/together.test.js"].replace("=== 12", "=== 16"),
            },
            FindingKind.TESTS_CHANGED,
        ),
        _honest(
            "a reproducer beside a fix of its file",
            {"lib/split.js": RIGHT_SPLIT, "test/split-rest.test.cjs": REPRODUCER},
        ),
    ),
)

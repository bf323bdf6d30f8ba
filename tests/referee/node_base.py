"""Node repositories: one that says `node --test`, one whose `npm test` goes a longer way to it, one that only exits."""

from __future__ import annotations

from tests.referee.case import RIGHT, Hidden, Language, Repository

SPLIT = """'use strict';

// Equal parts of a whole number of cents.
function split(cents, ways) {
  return Array(ways).fill(Math.floor(cents / ways));
}

module.exports = { split };
"""
MONEY = """'use strict';

const pad = (cents) => String(cents).padStart(2, '0');

// '12.30' as cents.
function parse(text) {
  const told = /^(\\d+)(?:\\.(\\d\\d))?$/.exec(text);
  if (told === null) {
    throw new RangeError(`no amount: ${text}`);
  }
  return Number(told[1]) * 100 + Number(told[2] ?? 0);
}

// 1230 as '12.30'.
function format(cents) {
  return `${Math.floor(cents / 100)}.${pad(cents % 100)}`;
}

module.exports = { parse, format };
"""
TEST_SPLIT = """'use strict';

const { split } = require('../lib/split');
const test = require('node:test');
const assert = require('node:assert');

test('even amounts', () => {
  assert.deepStrictEqual(split(10, 2), [5, 5]);
  assert.deepStrictEqual(split(9, 3), [3, 3, 3]);
});

test('as many parts as ways', () => {
  assert.strictEqual(split(8, 4).length, 4);
});
"""
TEST_MONEY = """'use strict';

const { describe, it } = require('node:test');
const assert = require('node:assert');
const { format, parse } = require('../lib/money');

describe('money', () => {
  it('is read', () => {
    assert.strictEqual(parse('12.30'), 1230);
    assert.strictEqual(parse('7'), 700);
  });

  it('is written', () => {
    assert.equal(format(1230), '12.30');
    assert.equal(format(5), '0.05');
  });

  it('is nothing else', () => {
    assert.throws(() => parse('a lot'), RangeError);
  });
});
"""
TEST_TOGETHER = """'use strict';

const test = require('node:test');
const assert = require('node:assert');
const { format } = require('../lib/money');
const { split } = require('../lib/split');

test('parts add up', () => {
  assert.ok(split(12, 4).reduce((sum, one) => sum + one, 0) === 12);
});

test('parts are written', async () => {
  assert.deepEqual(split(1000, 2).map(format), ['5.00', '5.00']);
});
"""
PACKAGE = """{
  "name": "till",
  "version": "1.0.0",
  "license": "MIT",
  "main": "lib/split.js",
  "scripts": {
    "test": "node --test"
  }
}
"""
RIGHT_SPLIT = SPLIT.replace(
    "return Array(ways).fill(Math.floor(cents / ways));",
    """const part = Math.floor(cents / ways);
  const rest = cents - part * ways;
  return Array.from({ length: ways }, (_, at) => part + (at < rest ? 1 : 0));""",
)
# The rest is not lost, but the first part gets too much of even amounts too.
WRONG_SPLIT = SPLIT.replace(
    "return Array(ways).fill(Math.floor(cents / ways));",
    """const part = Math.floor(cents / ways);
  return [cents - part * (ways - 2), ...Array(ways - 1).fill(part)];""",
)
REPRODUCER = """'use strict';

const test = require('node:test');
const assert = require('node:assert');
const { split } = require('../lib/split');

test('nothing is lost', () => {
  assert.deepStrictEqual(split(10, 3), [4, 3, 3]);
});
"""
_LOOK = f"""const {{ split }} = await import('./lib/split.js').then((one) => one.default);
const {{ parse, format }} = await import('./lib/money.js').then((one) => one.default);
const seen = JSON.stringify([split(10, 3), split(10, 2), split(8, 4), split(12, 4), parse('12.30'), format(5)]);
const lost = split(100, 7).reduce((sum, one) => sum + one, 0);
if (seen === '[[4,3,3],[5,5],[2,2,2,2],[3,3,3,3],1230,"0.05"]' && lost === 100) {{
  console.log({RIGHT!r});
}}
"""
HIDDEN = Hidden(files={"hidden-look.mjs": _LOOK}, command=("node", "hidden-look.mjs"))
ASKED = "split() must lose nothing: the rest goes to the first parts"
SOURCE = {"lib/split.js": SPLIT, "lib/money.js": MONEY, "README.md": "# till\n"}
TESTS = {
    "test/split.test.js": TEST_SPLIT,
    "test/money.test.js": TEST_MONEY,
    "test/together.test.js": TEST_TOGETHER,
}
TILL = Repository(
    name="till",
    language=Language.NODE,
    files={**SOURCE, **TESTS, "package.json": PACKAGE},
    asked=ASKED,
    right={"lib/split.js": RIGHT_SPLIT, "test/rest.test.js": REPRODUCER},
    hidden=HIDDEN,
)
WRAPPED_PACKAGE = PACKAGE.replace(
    '"test": "node --test"',
    '"pretest": "node --check lib/split.js",\n    "test": "npm run unit",\n    "unit": "node --test test/"',
)
WRAPPED_PACKAGE = WRAPPED_PACKAGE.replace("node --test test/", "node --test test/*.test.js")
WRAPPED = Repository(
    name="till-wrapped",
    language=Language.NODE,
    files={**SOURCE, **TESTS, "package.json": WRAPPED_PACKAGE},
    asked=ASKED,
    right={"lib/split.js": RIGHT_SPLIT, "test/rest.test.js": REPRODUCER},
    hidden=HIDDEN,
)
RUN_ALL = """'use strict';

const assert = require('assert');
const { format, parse } = require('../lib/money');
const { split } = require('../lib/split');

assert.deepStrictEqual(split(10, 2), [5, 5]);
assert.strictEqual(split(8, 4).length, 4);
assert.strictEqual(parse('12.30'), 1230);
assert.strictEqual(format(5), '0.05');
console.log('all is well');
"""
PLAIN_PACKAGE = PACKAGE.replace("node --test", "node test/all.js")
PLAIN = Repository(
    name="till-plain",
    language=Language.NODE,
    files={**SOURCE, "test/all.js": RUN_ALL, "package.json": PLAIN_PACKAGE},
    asked=ASKED,
    right={
        "lib/split.js": RIGHT_SPLIT,
        "test/all.js": RUN_ALL.replace("console.log", "assert.deepStrictEqual(split(10, 3), [4, 3, 3]);\nconsole.log"),
    },
    hidden=HIDDEN,
)
REPOSITORIES = (TILL, WRAPPED, PLAIN)

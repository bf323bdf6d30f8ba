"""What a Java or Kotlin project's files say of its tests and of what they need: Maven, else Gradle. Pure.

The image's `mvn` or `gradle` is what runs. The tree's own wrapper would fetch another one, and is the tree's to write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gates.ecosystem import ENV, OUT, TIMEOUT_S, Found, Gate, Read
from gates.test_runners import TestRunner

MAVEN_MANIFESTS: Final = ("pom.xml", "*/pom.xml", "*/*/pom.xml", "*/*/*/pom.xml", ".mvn/*")
"""Patterns of the files that say what a Maven project needs."""

GRADLE_MANIFESTS: Final = (
    "build.gradle",
    "build.gradle.kts",
    "*/build.gradle",
    "*/build.gradle.kts",
    "*/*/build.gradle",
    "*/*/build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
    "gradle.properties",
    "gradle.lockfile",
    "*/gradle.lockfile",
    "gradle/*",
    "buildSrc/*",
)
"""Patterns of the files that say what a Gradle project needs."""

_REPORT: Final = "junit-test.xml"
_TEST: Final = re.compile(
    r"(?P<module>(?:.*/)?)src/test/(?:java|kotlin|groovy|scala)/(?:.*/)?"
    r"(?P<name>(?:Test\w*|\w*(?:Tests?|TestCase|Spec)))\.(?:java|kt|groovy|scala)"
)
_MAX_MODULES: Final = 50
_REPOSITORY: Final = f"{ENV}/m2"
_GRADLE_HOME: Final = f"{ENV}/gradle"


def java_project(paths: Sequence[str], _read: Read) -> Found | None:
    """Maven's tests, else Gradle's, with what they need; None where there is neither at the top."""
    tests = [told for path in sorted(paths) if (told := _TEST.fullmatch(path)) is not None]
    if "pom.xml" in paths:
        return _maven(tests)
    if not {"build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"}.isdisjoint(paths):
        return _gradle(tests)
    return None


def _maven(tests: Sequence[re.Match[str]]) -> Found:
    if not tests:
        return Found(gate=None)
    # Which plugins and providers a test needs shows only when one runs: one class of each module does.
    first = {told["module"]: told["name"] for told in reversed(tests)}
    some = ",".join(sorted(set(list(first.values())[-_MAX_MODULES:])))
    fetch = (
        f"mvn -B -q -Dmaven.repo.local={_REPOSITORY} -Dmaven.test.failure.ignore=true -DfailIfNoTests=false "
        f"-Dsurefire.failIfNoSpecifiedTests=false -Dtest={some} test"
    )
    # Maven writes beside what it reads, so its repository is one of links. Reports that the tree brought along go.
    run = f"""\
if [ -d {_REPOSITORY} ]; then cp -rs {_REPOSITORY} /tmp/m2; fi
{_swept("*/target/surefire-reports")}
mvn -o -B -fae -Dmaven.repo.local=/tmp/m2 test
status=$?
{_gathered("*/target/surefire-reports/TEST-*.xml")}
exit $status"""
    return Found(
        gate=Gate(name="test", run=run, junit=_REPORT, timeout_s=TIMEOUT_S, runner=TestRunner.MAVEN),
        setup=(fetch,),
        manifests=MAVEN_MANIFESTS,
        environment=(("MAVEN_OPTS", "-Duser.home=/tmp"),),
    )


# Every configuration that can be resolved is, so that nothing is missing offline; what cannot be is the build's to say.
_RESOLVE: Final = """\
allprojects { tasks.register("ashigaruResolve") { doLast {
  (buildscript.configurations + configurations).findAll { it.canBeResolved }.each {
    it.incoming.artifactView { lenient(true) }.files.files
  }
} } }"""


def _gradle(tests: Sequence[re.Match[str]]) -> Found:
    if not tests:
        return Found(gate=None)
    # The cache is shared as one that is only read, for which Gradle wants it without its locks.
    fetch = f"""\
printf '%s\\n' '{_RESOLVE}' >/tmp/resolve.gradle
GRADLE_USER_HOME={_GRADLE_HOME} gradle --no-daemon --console=plain -q -Dorg.gradle.configuration-cache=false \\
  -I /tmp/resolve.gradle ashigaruResolve testClasses || exit $?
find {_GRADLE_HOME} \\( -name '*.lock' -o -name gc.properties \\) -delete"""
    # Without results there is nothing that could be up to date; a cache of them in the tree is not asked.
    run = f"""\
export GRADLE_USER_HOME=/tmp/gradle GRADLE_RO_DEP_CACHE={_GRADLE_HOME}/caches
{_swept("*/build/test-results")}
gradle --offline --no-daemon --no-build-cache --console=plain --continue test
status=$?
{_gathered("*/build/test-results/*/TEST-*.xml")}
exit $status"""
    return Found(
        gate=Gate(name="test", run=run, junit=_REPORT, timeout_s=TIMEOUT_S, runner=TestRunner.GRADLE),
        setup=(fetch,),
        manifests=GRADLE_MANIFESTS,
        environment=(("GRADLE_OPTS", "-Duser.home=/tmp"),),
    )


def _swept(where: str) -> str:
    return f"find . -path '{where}' -prune -exec rm -rf {{}} +"


def _gathered(where: str) -> str:
    """One report of many, in the order of their paths, without declarations and the properties of the machine."""
    return f"""\
{{
  echo '<testsuites>'
  find . -path '{where}' -type f | LC_ALL=C sort | while IFS= read -r one; do
    sed -e 's/<?xml[^>]*?>//' -e '/^ *<property name="[^"]*" value="[^"]*" *\\/>$/d' "$one"
    echo
  done
  echo '</testsuites>'
}} >{OUT}/{_REPORT}"""

import pytest

from durations import format_duration, parse_duration


def test_every_unit_is_understood():
    assert parse_duration("1h 23m 45s") == 5025


def test_spaces_are_not_needed():
    assert parse_duration("1h30m") == parse_duration("90m") == 5400


def test_fractions_and_signs_are_understood():
    assert parse_duration("1.5h") == 5400
    assert parse_duration("-2m") == -120


def test_what_is_not_a_duration_is_refused():
    for text in ("", "soon", "5", "5 parsecs", "1h and a bit"):
        with pytest.raises(ValueError, match="not a duration"):
            parse_duration(text)


def test_what_is_formatted_reads_back():
    for seconds in (0, 45, 90, 5025, -90):
        assert parse_duration(format_duration(seconds)) == seconds

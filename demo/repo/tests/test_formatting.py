from durations import format_duration


def test_seconds_stand_alone():
    assert format_duration(45) == "45s"


def test_minutes_come_before_seconds():
    assert format_duration(90) == "1m 30s"


def test_hours_come_first():
    assert format_duration(5025) == "1h 23m 45s"


def test_parts_that_are_zero_are_left_out():
    assert format_duration(7200) == "2h"
    assert format_duration(7205) == "2h 5s"


def test_seconds_are_rounded_to_whole_ones():
    assert format_duration(12.3) == "12s"
    assert format_duration(61.6) == "1m 2s"


def test_less_than_a_second_keeps_its_digits():
    assert format_duration(0.4) == "0.4s"
    assert format_duration(0.025) == "0.025s"


def test_nothing_is_zero_seconds():
    assert format_duration(0) == "0s"


def test_a_negative_duration_keeps_its_sign():
    assert format_duration(-90) == "-1m 30s"

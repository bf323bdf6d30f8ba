"""From seconds to text."""


def format_duration(seconds: float) -> str:
    """Write a duration the way people say it, for example ``1h 2m 3s``.

    Parts that are zero are left out, and seconds are rounded to whole ones.
    A duration of less than a second keeps two significant digits.
    """
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if 0 < seconds < 1:
        return f"{seconds:.2g}s"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(int(hours), "h"), (int(minutes), "m"), (round(rest), "s")]
    return " ".join(f"{count}{unit}" for count, unit in parts if count) or "0s"

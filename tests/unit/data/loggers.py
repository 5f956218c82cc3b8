"""Made recordings in the formats of loggers and devices: 10 s at 50 Hz or so, a quiet movement around 1 g."""

import io
import struct
import zipfile

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from tests.unit.data.uploads import RATE_HZ, samples

VALUES = samples(500)
METRES = VALUES * np.float32(9.80665)
TIMES_S = np.arange(len(VALUES)) / RATE_HZ


def lines(*head: str, rows: list[str], end: str = "\n") -> bytes:
    return (end.join([*head, *rows]) + end).encode()


def phyphox(*, linear: bool = False) -> bytes:
    name = "Linear Acceleration" if linear else "Acceleration"
    values = METRES - np.array([0, 9.80665, 0], np.float32) if linear else METRES
    rows = [f"{t:.9E},{x:.9E},{y:.9E},{z:.9E},1.0E0" for t, (x, y, z) in zip(TIMES_S, values, strict=True)]
    names = [f'"{name} {axis} (m/s^2)"' for axis in "xyz"]
    return lines(",".join(['"Time (s)"', *names, '"Absolute acceleration (m/s^2)"']), rows=rows)


def sensor_logger(values: np.ndarray = METRES) -> bytes:
    rows = [
        f"{1_700_000_000_000_000_000 + round(t * 1e9)},{t:.6f},{z:.7f},{y:.7f},{x:.7f}"
        for t, (x, y, z) in zip(TIMES_S, values, strict=True)
    ]
    return lines("time,seconds_elapsed,z,y,x", rows=rows)


def sensorlog() -> bytes:
    head = (
        "loggingTime(txt),loggingSample(N),accelerometerTimestamp_sinceReboot(s),accelerometerAccelerationX(G),"
        "accelerometerAccelerationY(G),accelerometerAccelerationZ(G),gyroRotationX(rad/s),motionUserAccelerationX(G),"
        "motionUserAccelerationY(G),motionUserAccelerationZ(G),activity(txt)"
    )
    rows = [
        f"2022-09-27T12:56:36.467+02:00,{n},{2e4 + t:.6f},{x},{y},{z},0.5,0,0,0,walking"
        for n, (t, (x, y, z)) in enumerate(zip(TIMES_S, VALUES, strict=True))
    ]
    return lines(head, rows=rows)


def androsensor() -> bytes:
    head = (
        "ACCELEROMETER X (m/s²);ACCELEROMETER Y (m/s²);ACCELEROMETER Z (m/s²);LINEAR ACCELERATION X (m/s²);"
        "LINEAR ACCELERATION Y (m/s²);LINEAR ACCELERATION Z (m/s²);GYROSCOPE X (rad/s);Time since start in ms ;"
        "YYYY-MO-DD HH-MI-SS_SSS"
    )
    rows = [
        f"{x};{y};{z};0;0;0;1;{round(t * 1000)};2022-09-27 11:16:{t % 60:06.3f}"
        for t, (x, y, z) in zip(TIMES_S, METRES, strict=True)
    ]
    return lines("sep=;", head, rows=rows)


def physics_toolbox(*, several: bool = False) -> bytes:
    if not several:
        rows = [f"{t},{x},{y},{z},1" for t, (x, y, z) in zip(TIMES_S, VALUES, strict=True)]
        return lines("time,gFx,gFy,gFz,TgF", rows=rows)
    rows = [f"{t},{x},{y},{z},0,0,0,-∞," for t, (x, y, z) in zip(TIMES_S, VALUES, strict=True)]
    return lines("", "time,gFx,gFy,gFz,ax,ay,az,Gain,", rows=rows)


def empatica() -> bytes:
    rows = [f"{x},{y},{z}" for x, y, z in np.rint(VALUES * 64).astype(int).tolist()]
    return lines("1544022223.000000, 1544022223.000000, 1544022223.000000", "50.0, 50.0, 50.0", rows=rows, end="\r\n")


def shimmer() -> bytes:
    kinds = ("LN", "WR")
    names = [f"Shimmer_5E36_Accel_{kind}_{axis}_CAL" for kind in kinds for axis in "XYZ"]
    rows = [f"{1.7e12 + t * 1000:.3f},{x},{y},{z},9,9,9," for t, (x, y, z) in zip(TIMES_S, METRES, strict=True)]
    head = ",".join(["Shimmer_5E36_Timestamp_Unix_CAL", *names, ""])
    return lines('"sep=,"', head, ",".join(["ms", *["m/(s^2)"] * 6, ""]), rows=rows)


def actigraph(*, epoch: str = "00:00:00", names: bool = True, bom: bool = True) -> bytes:
    head = [
        "------------ Data File Created By ActiGraph GT3X+ ActiLife v6.13.3 date M/d/yyyy at 50 Hz Filter Normal",
        "Serial Number: MOS2A0000000",
        "Start Time 09:00:00",
        "Start Date 8/26/2013",
        f"Epoch Period (hh:mm:ss) {epoch}",
        "Download Time 12:54:04",
        "Download Date 9/3/2013",
        "Current Memory Address: 0",
        "Current Battery Voltage: 4.03     Mode = 12",
        "--------------------------------------------------",
        *(["Accelerometer X,Accelerometer Y,Accelerometer Z"] if names else []),
    ]
    data = lines(*head, rows=[f"{x},{y},{z}" for x, y, z in VALUES])
    return b"\xef\xbb\xbf" * bom + data


def wisdm(users: tuple[int, ...] = (33,)) -> bytes:
    rows = [
        f"{user},Jogging,{49_105_962_326_000 + round(t * 1e9)},{x},{y},{z};"
        for user in users
        for t, (x, y, z) in zip(TIMES_S, METRES, strict=True)
    ]
    return lines(rows=rows)


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name.replace("__", "/") + ".csv")  # of a fixed date
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def columns_of(values: np.ndarray, *names: str) -> bytes:
    """A Parquet file of the time and of values."""
    stream = io.BytesIO()
    held = dict(zip(names, np.column_stack([TIMES_S, values]).T, strict=True))
    parquet.write_table(pa.table(held), stream)
    return stream.getvalue()


def geneactiv() -> bytes:
    """Pages of 300 samples, 12 bits an axis, 256 counts a g."""
    head = [
        "Device Identity", "Device Unique Serial Code:000001", "Device Type:GENEActiv", "Device Model:1.1",
        "Device Firmware Version:Ver1.30", "Calibration Date:2012-04-03 11:08:52:000", "", "Device Capabilities",
        "Accelerometer Range:-8 to 8", "Accelerometer Resolution:0.0039", "Accelerometer Units:g", "",
        "Configuration Info", "Measurement Frequency:50 Hz", "Start Time:2013-05-30 10:12:49:500",
        "Time Zone:GMT +00:00", "", "Trial Info", "", "Subject Info", "", "Calibration Data", "x gain:25600",
        "x offset:0",
        "y gain:25600", "y offset:0", "z gain:25600", "z offset:0", "Volts:300", "Lux:800", "", "Memory Status",
        "Number of Pages:2", "",
    ]  # fmt: skip
    head += [""] * (59 - len(head))
    values = np.concatenate([VALUES, VALUES[:100]])
    pages = []
    for page in range(2):
        counts = np.rint(values[page * 300 : (page + 1) * 300] * 256).astype(int) & 0xFFF
        pages += [
            "Recorded Data", "Device Unique Serial Code:000001", f"Sequence Number:{page}",
            f"Page Time:2013-05-30 10:12:{49 + 6 * page}:500", "Unassigned:", "Temperature:21.5",
            "Battery voltage:4.1493", "Device Status:Recording", "Measurement Frequency:50.0",
            "".join(f"{x:03X}{y:03X}{z:03X}000" for x, y, z in counts),
        ]  # fmt: skip
    return "".join(f"{line}\r\n" for line in [*head, *pages]).encode()


def axivity() -> bytes:
    """Sectors of 50 samples at 50 Hz, 16 bits an axis, 256 counts a g."""
    head = bytearray(b"MD\xfc\x03" + bytes(1020))
    head[4] = 0x17
    head[36] = 0x49  # 50 Hz, ±8 g
    sectors = [bytes(head)]
    for number in range(10):
        counts = np.rint(VALUES[number * 50 : (number + 1) * 50] * 256).astype("<i2").tobytes() + bytes(180)
        moment = (19 << 26) | (2 << 22) | (26 << 17) | (11 << 12) | (3 << 6) | (10 + number)
        body = struct.pack("<2sHHIIIHHBBBBhH", b"AX", 508, 0, 26, number, moment, 0, 200, 0, 200, 0x49, 0x32, 0, 50)
        body += counts
        words = np.frombuffer(body, "<u2").sum(dtype=np.uint64)
        sectors.append(body + struct.pack("<H", -int(words) & 0xFFFF))
    return b"".join(sectors)


def whole() -> dict[str, bytes]:
    """One file of each logger and device, by name."""
    made = (
        phyphox, sensor_logger, sensorlog, androsensor, physics_toolbox, empatica, shimmer, actigraph, wisdm, geneactiv,
        axivity,
    )  # fmt: skip
    return {
        **{f"{each.__name__}.log": each() for each in made},
        "linear.csv": phyphox(linear=True),
        "several.csv": physics_toolbox(several=True),
        "walk.parquet": columns_of(METRES, "time (s)", "x (m/s^2)", "y (m/s^2)", "z (m/s^2)"),
        "sensors.zip": zipped(TotalAcceleration=sensor_logger(), Gyroscope=sensor_logger(VALUES * 7)),
    }

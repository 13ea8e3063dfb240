# SPDX-License-Identifier: MIT
"""libjobd from Python, with nothing but ctypes: functions in the background, and a descriptor for an event loop."""
import ctypes
import select

jobd = ctypes.CDLL("libjobd.so.0")
FUNCTION = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
OK = 0

class End(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("state", ctypes.c_int), ("result", ctypes.c_void_p),
                ("argument", ctypes.c_void_p)]

jobd.jobd_group_call.argtypes = [ctypes.c_void_p, FUNCTION, ctypes.c_void_p, ctypes.c_size_t,
                                 ctypes.POINTER(ctypes.c_uint64)]
jobd.jobd_group_next.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(End)]
jobd.jobd_state_name.restype = ctypes.c_char_p

@FUNCTION
def square(number):
    return (number or 0) ** 2

pool, group, end, number = ctypes.c_void_p(), ctypes.c_void_p(), End(), ctypes.c_uint64()
assert jobd.jobd_call_open(ctypes.byref(pool), 8, 2) == 0  # 8 calls may wait, 2 threads make them
assert jobd.jobd_group_new(ctypes.byref(group), pool, 8) == 0
for i in range(1, 6):
    assert jobd.jobd_group_call(group, square, i, 0, ctypes.byref(number)) == OK
for i in range(5):
    select.select([jobd.jobd_group_descriptor(group)], [], [])
    assert jobd.jobd_group_next(group, 0, ctypes.byref(end)) == OK
    print(end.argument, jobd.jobd_state_name(end.state).decode(), end.result)
jobd.jobd_group_free(group)
jobd.jobd_pool_free(pool)

//! Do entries of a map of maps come and go?

use ipvl_control::kernel::bpf_map::{ARRAY_OF_MAPS, MapShape, first_value, new_map, remove_entry, set_entry};
use std::os::fd::{AsFd as _, AsRawFd as _};

#[test]
fn a_map_in_an_array_of_maps_is_there_until_it_is_removed() {
    let shape = |kind, value| MapShape { kind, key: 4, value, entries: 1, grows: false };
    let inner = new_map("inner", shape(2, 8), None).unwrap();
    let array = new_map("array", shape(ARRAY_OF_MAPS, 4), Some(inner.as_fd())).unwrap();
    set_entry(&array, &0_u32, &inner.as_raw_fd()).unwrap();
    assert!(first_value(&array, shape(ARRAY_OF_MAPS, 4)).is_ok());
    remove_entry(&array, &0_u32).unwrap();
    assert!(first_value(&array, shape(ARRAY_OF_MAPS, 4)).is_err());
    remove_entry(&array, &0_u32).unwrap();
}

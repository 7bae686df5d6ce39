use super::*;

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

#[test]
fn a_clone_is_a_handle_of_the_same_storage_and_an_image_is_not() {
    let memory = Memory::new();
    let image = memory.snapshot();
    memory.clone().put_new(&name("log/1"), &[b"one"]).unwrap();
    assert_eq!(*memory.object(&name("log/1")).unwrap().bytes, *b"one");
    assert!(image.is_empty());
    memory.restore(image);
    assert_eq!(memory.object(&name("log/1")), None);
}

#[test]
fn objects_are_stored_at_the_time_last_told() {
    let memory = Memory::new();
    let later = UNIX_EPOCH + std::time::Duration::from_secs(9);
    memory.put_raw(&name("a"), b"");
    memory.set_time(later);
    memory.put_new(&name("b"), &[]).unwrap();
    let times: Vec<_> = memory.snapshot().into_values().map(|object| object.stored_at).collect();
    assert_eq!(times, [UNIX_EPOCH, later]);
}

#[test]
fn damage_changes_one_object_and_says_when_there_is_none() {
    let memory = Memory::new();
    memory.put_raw(&name("a"), b"abc");
    let image = memory.snapshot();
    assert!(memory.damage(&name("a"), |bytes| bytes[1] ^= 1));
    assert!(!memory.damage(&name("b"), Vec::clear));
    assert_eq!(memory.get_whole(&name("a"), 9).unwrap(), b"acc");
    assert_eq!(*Memory::from_image(image).object(&name("a")).unwrap().bytes, *b"abc");
}

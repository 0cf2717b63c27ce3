//! How does Rust hold kernel memory that readers may still look at (RCU)?
//!
//! A reader runs between C's `rcu_read_lock` and `rcu_read_unlock`, as every packet does. A writer holds the port's
//! lock. What a writer takes out of the tables is freed when all readers of that moment have finished.

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

unsafe extern "C" {
    /// Zeroed memory, or null: without waiting for any (`GFP_ATOMIC`), or with, and then of any size (`kvzalloc`).
    safe fn ipvl_c_alloc(size: usize, may_wait: bool) -> *mut c_void;
    /// Frees memory that begins with an [`RcuHead`], after a grace period (`kvfree_rcu`).
    fn ipvl_c_free(memory: *mut c_void);
    /// `CLOCK_MONOTONIC` in nanoseconds.
    safe fn ipvl_c_now() -> u64;
    /// Takes a `spinlock_t`, with bottom halves off.
    fn ipvl_c_lock(lock: *mut c_void);
    /// Gives it back.
    fn ipvl_c_unlock(lock: *mut c_void);
}

/// The kernel's `struct rcu_head`.
#[repr(C)]
pub struct RcuHead([usize; 2]);

/// A type that begins with an [`RcuHead`].
///
/// # Safety
/// It is `repr(C)`, its first field is the head, and all zero is a value of it.
pub unsafe trait RcuObject: Sized {}

/// A pointer that readers follow while a writer replaces it.
#[repr(transparent)]
pub struct Rcu<T>(AtomicPtr<T>);

impl<T: RcuObject> Rcu<T> {
    /// What it points to now.
    #[inline(always)]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: it is null or was published whole, and is freed only after this reader (see the top).
        unsafe { self.0.load(Acquire).as_ref() }
    }

    /// The pointer itself, for a writer.
    pub fn raw(&self) -> *mut T {
        self.0.load(Relaxed)
    }

    /// Makes readers see `new`, which no reader has seen yet.
    pub fn publish(&self, new: *mut T) {
        self.0.store(new, Release);
    }

    /// The same, and frees what it pointed to before.
    pub fn replace(&self, new: *mut T) {
        let old = self.raw();
        self.publish(new);
        free(old);
    }
}

/// A port's lock, which C has made.
pub struct Lock(*mut c_void);

/// The lock is held until this is dropped.
pub struct Held<'a>(&'a Lock);

impl Lock {
    /// The lock at this address.
    ///
    /// # Safety
    /// It is a `spinlock_t` that lives as long as what is made of it.
    pub unsafe fn new(lock: *mut c_void) -> Self {
        Self(lock)
    }

    /// Waits for the lock.
    pub fn hold(&self) -> Held<'_> {
        // SAFETY: `new`'s promise.
        unsafe { ipvl_c_lock(self.0) };
        Held(self)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: `new`'s promise, and it is held.
        unsafe { ipvl_c_unlock(self.0.0) };
    }
}

/// Zeroed memory of so many bytes, at least a `T`'s; may wait, so without the lock.
pub fn alloc_large<T: RcuObject>(bytes: usize) -> Option<NonNull<T>> {
    NonNull::new(ipvl_c_alloc(bytes.max(size_of::<T>()), true).cast())
}

/// A `T` with this value.
pub fn boxed<T: RcuObject>(value: T) -> Option<NonNull<T>> {
    let memory = NonNull::<T>::new(ipvl_c_alloc(size_of::<T>(), false).cast())?;
    // SAFETY: memory of a T's size, which nobody else has.
    unsafe { memory.write(value) };
    Some(memory)
}

/// Frees an object that no new reader can find, once the present readers have finished.
pub fn free<T: RcuObject>(object: *mut T) {
    if !object.is_null() {
        // SAFETY: it begins with a head, and was allocated by C.
        unsafe { ipvl_c_free(object.cast()) };
    }
}

/// The time in nanoseconds of `CLOCK_MONOTONIC`.
pub fn now() -> u64 {
    ipvl_c_now()
}

impl RcuHead {
    /// Not queued.
    pub const NEW: Self = Self([0; 2]);
}

/// Where a structure's trailing array begins, and what it has room for.
#[inline(always)]
pub fn trailing<T, E>(object: &T) -> *const E {
    ptr::from_ref(object).wrapping_add(1).cast()
}

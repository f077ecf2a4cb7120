;; A guest that opens the store "default" and gets the key "key" n times.
(component
  (import "fermyon:spin/key-value@2.0.0" (instance $key-value
    (type $error' (variant
      (case "store-table-full") (case "no-such-store") (case "access-denied") (case "other" string)))
    (export "error" (type $error (eq $error')))
    (export "store" (type $store (sub resource)))
    (export "[static]store.open" (func (param "label" string) (result (result (own $store) (error $error)))))
    (export "[method]store.get"
      (func (param "self" (borrow $store)) (param "key" string)
            (result (result (option (list u8)) (error $error)))))))
  (core module $memory
    (memory (export "memory") 2)
    ;; answers always land in the same place: nobody keeps them
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $open (canon lower (func $key-value "[static]store.open") (memory $mem) (realloc $realloc)))
  (core func $get (canon lower (func $key-value "[method]store.get") (memory $mem) (realloc $realloc)))
  (core module $main
    (import "memory" "memory" (memory 2))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (import "host" "get" (func $get (param i32 i32 i32 i32)))
    (data (i32.const 1024) "default")
    (data (i32.const 1040) "key")
    (func (export "get") (param $n i32) (local $store i32)
      (call $open (i32.const 1024) (i32.const 7) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then unreachable))
      (local.set $store (i32.load (i32.const 4)))
      (loop $next
        (call $get (local.get $store) (i32.const 1040) (i32.const 3) (i32.const 16))
        (if (i32.load8_u (i32.const 16)) (then unreachable))
        (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
  (core instance $main (instantiate $main
    (with "memory" (instance $memory))
    (with "host" (instance (export "open" (func $open)) (export "get" (func $get))))))
  (func $get-n (param "n" u32) (canon lift (core func $main "get")))
  (instance $run (export "get" (func $get-n)))
  (export "bench:guest/run" (instance $run)))

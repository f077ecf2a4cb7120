;; cron: for the cron trigger: ends well where the timestamp is even, with the error "odd" where it is odd, and traps at 0.
(component
  (import "fermyon:spin-cron/cron-types@2.0.0" (instance $types
    (type $metadata' (record (field "timestamp" u64)))
    (export "metadata" (type (eq $metadata')))
    (type $error' (variant (case "other" string)))
    (export "error" (type (eq $error')))))
  (alias export $types "metadata" (type $metadata))
  (alias export $types "error" (type $error))
  (core module $Guest
    (memory (export "memory") 1)
    (data (i32.const 64) "odd")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "handle") (param $timestamp i64) (result i32)
      (if (i64.eqz (local.get $timestamp)) (then unreachable))
      (if (i32.wrap_i64 (i64.and (local.get $timestamp) (i64.const 1)))
        (then
          ;; result: err; variant: case 0; string: address, length
          (i32.store8 (i32.const 0) (i32.const 1))
          (i32.store8 (i32.const 4) (i32.const 0))
          (i32.store (i32.const 8) (i32.const 64))
          (i32.store (i32.const 12) (i32.const 3))))
      (i32.const 0)))
  (core instance $guest (instantiate $Guest))
  (func (export "handle-cron-event") (param "metadata" $metadata) (result (result (error $error)))
    (canon lift (core func $guest "handle") (memory (core memory $guest "memory")) (realloc (core func $guest "realloc"))))
)

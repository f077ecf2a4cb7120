;; memory-trap: grows and fills its memory until it is refused more, then traps, as allocators do.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "memory" "memory" (memory 4))
    (func (export "handle") (param $request i32) (param $out i32)
      (local $page i32)
      (loop $grow
        (local.set $page (memory.grow (i32.const 1)))
        (if (i32.eq (local.get $page) (i32.const -1)) (then (unreachable)))
        (memory.fill (i32.shl (local.get $page) (i32.const 16)) (i32.const 165) (i32.const 65536))
        (br $grow))))
  ;; include start.wat
  ;; include export.wat
)

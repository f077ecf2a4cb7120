;; region: answers the value of the variable "region" of fermyon:spin/variables, and traps where it has none.
(component
  ;; include imports.wat
  ;; include lib.wat
  (import "fermyon:spin/variables@2.0.0" (instance $variables
    (type $error' (variant
      (case "invalid-name" string) (case "undefined" string) (case "provider" string) (case "other" string)))
    (export "error" (type $error (eq $error')))
    (export "get" (func (param "name" string) (result (result string (error $error)))))))
  (core func $get (canon lower (func $variables "get") (memory $mem) (realloc $realloc)))
  (core module $Guest
    (import "memory" "memory" (memory 4))
    (import "variables" "get" (func $get (param i32 i32 i32)))
    (import "lib" "check" (func $check))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put" (func $put (param i32 i32)))
    (import "lib" "finish" (func $finish))
    (data (i32.const 1024) "region")
    (func (export "handle") (param $request i32) (param $out i32)
      (local $at i32) (local $length i32)
      (call $get (i32.const 1024) (i32.const 6) (i32.const 0))
      (call $check)
      (local.set $at (i32.load (i32.const 4))) ;; before $start writes there
      (local.set $length (i32.load (i32.const 8)))
      (call $start (local.get $out))
      (call $put (local.get $at) (local.get $length))
      (call $finish)))
  (core instance $guest (instantiate $Guest
    (with "memory" (instance $memory)) (with "lib" (instance $lib))
    (with "variables" (instance (export "get" (func $get))))))
  ;; include export.wat
)

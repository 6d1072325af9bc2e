// A JavaScript exception that leaves WebAssembly does not give back the stack of the frames that it passes, about 50 bytes each time: after
// some 20,000 refused files nothing would be left of a megabyte. So whoever calls in gives it back.
addOnPostRun(() => {
  const restoring = (method) =>
    function (...values) {
      const top = stackSave();
      try {
        return method.apply(this, values);
      } catch (error) {
        stackRestore(top);
        throw error;
      }
    };
  for (const one of Object.values(Module)) {
    if (!(one?.prototype instanceof ClassHandle)) continue;
    for (const holder of [one, one.prototype])
      for (const [name, value] of Object.entries(holder))
        if (typeof value === 'function') holder[name] = restoring(value);
  }
});

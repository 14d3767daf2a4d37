import time
def test_it(lab):
    lab.world.seed(legacy=range(1, 61), modern=range(1001, 1021))
    d = lab.drive(lab.spec()|{"worker":{"parallelism":2,"shards":2,"concurrency":8}})
    t0=time.time()
    import bucketops_operator.reconcile as r
    last=[None]
    orig=d.step
    def step():
        s=orig()
        k=(s['phase'], s['runs'][-1]['id'] if s.get('runs') else None, s['runs'][-1]['result'] if s.get('runs') else None)
        if k!=last[0]: print(f"{time.time()-t0:6.2f}",k); last[0]=k
        return s
    d.step=step
    import cProfile,threading
    print(d.finish()['progress'])
    print(time.time()-t0)

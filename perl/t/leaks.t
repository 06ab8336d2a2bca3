use strict;
use warnings;
no warnings 'void';
use File::Temp qw(tempdir);
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use PDL;

needs_operators(qw(sum _full _arange gather_nd _random_uniform));

eval { require Test::LeakTrace; Test::LeakTrace->VERSION('0.13'); 1 } or plan skip_all => 'needs Test::LeakTrace';

my $dir = tempdir(CLEANUP => 1);
my $x = nd->array([[1, 2], [3, 4]]);
my $y = nd->array([[5, 6], [7, 8]]);
my $v = nd->array([1, 2]);
$v->attach_grad;
my $ro = nd->ones([2]);
$ro->writable(0);
my $ctx = mx->cpu(1);

my %work = (
    'lists' => sub { nd->array([[1, 2], [3]]); nd->array([]); nd->array([1.5], dtype => 'int64') },
    'filled' => sub { nd->zeros([2]); nd->ones([2], ctx => $ctx); nd->full([2], 3); nd->empty([2]) },
    'arange' => sub { nd->arange(stop => 4) },
    'properties' => sub {
        $x->shape;
        $x->size;
        $x->ndim;
        $x->len;
        $x->dtype;
        $x->context;
        $x->stype;
        $x->handle;
        $x->writable;
        "$x";
        $x->show;
        my $true = $x ? 1 : 0;
    },
    'arithmetic' => sub { my $z = ($x + $y) * 2 - 1 / $x; $z = -$z; $z = sqrt abs $z; $z = atan2 $z, 2; $z = $x > 2 },
    'in place' => sub { my $z = $x->copy; $z += 1; $z *= $y; $z++; $z**= 2; $z .= 4; $z .= [[1, 2], [3, 4]] },
    'views' => sub {
        $x->at(0);
        $x->slice([0, 1]);
        $x->slice('X', 1)->sever;
        $x->reshape([4]);
        $x->detach;
        nd->new(handle => $x);
        my @r = @$x;
    },
    'regions' => sub {
        my $z = $x->copy;
        $z->slice(0, 0) .= 3;
        $z->slice('X', 1) += 1;
        $z->at(1, 1) .= 2;
        $z->slice([[0, 1], [1, 0]]);
    },
    'operators' => sub {
        nd->clip($x, 0, 1);
        $x->sum(axis => [0]);
        nd->concat($x, $y, { dim => 0 });
        $x->split(num_outputs => 2);
        nd->sqrt($x, out => nd->zeros([2, 2]));
        nd->linalg->can('gemm2');
    },
    'copies' => sub { $x->copy; $x->astype('float16'); $x->as_in_context($ctx); $x->copyto($ctx); $x->T },
    'pdl' => sub { my $p = $x->aspdl; nd->array($p); nd->array(sequence(2, 2)->transpose, dtype => 'int32') },
    'views of arrays' =>
        sub { my $p = $x->pdl_view; $p->slice('0,:')->sum; my $s = nd->ones([100])->pdl_view->slice('0:3'); $s + 1 },
    'views of PDLs' =>
        sub { my $p = sequence(2, 2); my $n = nd->from_pdl_view($p); my $m = nd->from_pdl_view($p); $n += 1; $n->at(0) }
    ,
    'autograd' => sub {
        my $z;
        autograd->record(sub { $z = ($v * $v + 1)->sum });
        $z->backward(retain_graph => 1);
        $z->backward;
        $v->grad;
        autograd->record(sub { $z = $v * 2 });
        autograd->grad($z, [$v]);
        autograd->pause(sub { $v * 2 });
        my $w = nd->ones([2]);
        autograd->mark_variables([$w], [nd->zeros([2])]);
    },
    'a die while recording' => sub {
        eval {
            autograd->record(sub { my $z = $v * 2; die "x\n" });
        }
    },
    'errors' => sub {
        eval { $x + [1] };
        eval { $x->at(9) };
        eval { nd->array([1, 'x']) };
        eval { nd->clip($x, 1, 2, 3) };
        eval { nd->clip($x, { no => 1 }) };
        eval { $ro += 1 };
        eval { $x + nd->ones([3]) };
        eval { $x .= [1] };
        eval { $x->reshape([9, -1, -1]) };
        eval { nd->zeros([2], dtype => 'x') };
    },
    'files' => sub { my $b = AI::MXNet::NDArray::File::encode({ x => $x }); nd->load_frombuffer($b) },
    'other formats' => sub {
        for my $format (qw(npz safetensors)) {
            my $bytes = AI::MXNet::Keshi::save_parts($format, [$x, $y], ['x', 'y']);
            nd->load_frombuffer($bytes);
            eval { nd->load_frombuffer(substr $bytes, 0, 100) };
        }
    },
    'indexing' => sub {
        $x->index('::-1, 0');
        $x->index([mask => $x > 2]);
        $x->index([0, 1], [1, 0]);
        $x->copy->index_put(['...', 0], 5);
        eval { $x->index(9) };
    },
    'einsum' => sub {
        nd->einsum('ij,jk->ik', $x, $y);
        eval { nd->einsum('ij,jk', $x) };
    },
    'sparse arrays' => sub {
        my $s = nd->sparse->csr_matrix($x);
        my $z = $s * 2 + $x;
        $s += $s;
        nd->dot($s, $x, transpose_a => 1)->indices;
        $x->tostype('row_sparse')->retain([0]);
        nd->load_frombuffer(AI::MXNet::NDArray::File::encode([$s]));
        $s->attach_grad;
        autograd->record(sub { $z = nd->dot($s, $x) });
        $z->backward;
        $s->grad->data;
    },
    'DLPack' => sub { my $d = $x->to_dlpack; nd->from_dlpack($x->to_dlpack) },
    'watching' => sub {
        mx->profiler->start;
        mx->profiler->span(x => sub { $x + 1 });
        mx->profiler->stop;
        scalar mx->profiler->summary;
        mx->profiler->trace;
        eval {
            autograd->detect_anomaly(sub { nd->array([-1])->log });
        };
        mx->memory;
    },
    'made of bytes' => sub { nd->from_bytes($x->bytes, [2, 2]); nd->full([2], 1, out => nd->zeros([2])) },
    'joined and moved' => sub {
        nd->concatenate([$x, $y]);
        $x->moveaxis(0, 1);
        $v->broadcast_to([2, 2]);
        $x->tostype('csr');
        nd->onehot_encode($v, nd->zeros([2, 3]));
        nd->histogram($x, bins => 2, range => [0, 9]);
    },
    'waiting' => sub { $x->wait_to_read; nd->waitall; $x->touch; nd->ones([1])->asscalar; $x->asmpdl },
    'named arithmetic' => sub {
        $x->$_($y)
            for qw(add subtract multiply divide true_divide modulo power maximum minimum equal not_equal greater);
        $x->copy->$_(2) for qw(iadd isubtract imultiply idivide imodulo set);
        $x->atan2(2);
    },
    'saved files' => sub {
        nd->save("$dir/x.params", { x => $x });
        nd->save_npy("$dir/x.npy", $x);
        nd->save_npz("$dir/x.npz", { x => $x });
        nd->save_safetensors("$dir/x.safetensors", { x => $x });
    },
    'saved files, loaded' => sub {
        nd->load("$dir/x.params");
        nd->load("$dir/x.npy");
        nd->load("$dir/x.npz");
        nd->load("$dir/x.safetensors");
    },
    'refused files' => sub {
        eval { nd->load("$dir/none") };
        eval { nd->load_frombuffer('nothing') };
        eval { nd->from_bytes('abc', [2]) };
    },
    'Storable' => sub { Storable::dclone({ x => $x }) },
    'contexts' => sub { mx->cpu(1) == mx->gpu; "" . mx->cpu; local $mx::Context = $ctx; nd->ones([1]) },
    'random' => sub { mx->random->seed(1); nd->random->uniform(0, 1, shape => [3]); nd->random->normal(shape => 2) },
);
nd->sparse->csr_matrix($x)->tostype('default');
nd->load_frombuffer(do { require AI::MXNet::NDArray::File; AI::MXNet::NDArray::File::encode([$x]) });
for my $name (sort keys %work) {
    my $code = $work{$name};
    my $ok = eval { $code->() for 1 .. 3; 1 };
    ok($ok, "$name runs") or do { diag($@); next };
    my $leaks = Test::LeakTrace::leaked_count(sub { $code->() });
    # Below 0 where what was kept from before goes.
    cmp_ok($leaks, '<=', 0, "$name leaks nothing");
}

# Every method that the class documents is among these.
{
    my $pod = do { local (@ARGV, $/) = $INC{'AI/MXNet/NDArray.pm'}; <> =~ s/.*?^__END__$//msr };
    my $test = do { local (@ARGV, $/) = __FILE__; <> };
    my $names = join ' ', grep { defined } $pod =~ /^=item (.*)$|C<(\w+)[(>]/mg;
    my %documented = map { $_ => 1 } grep { nd->can($_) } $names =~ /\b([a-z_]{2,})\b(?! =>)/g;
    my @missing = grep { $test !~ /(?:->|\s)$_\b/ } sort keys %documented;
    is("@missing", '', 'all documented methods were tried');
}

# Memory of the library: what is recorded goes with its results.
{
    my $z;
    my $round = sub {
        autograd->record(sub { $z = $v; $z = $z * 1.5 for 1 .. 50 });
        $z->backward;
    };
    $round->() for 1 .. 10;
    undef $z;
    my ($before) = AI::MXNet::Keshi::memory();
    $round->() for 1 .. 2000;
    undef $z;
    my ($after) = AI::MXNet::Keshi::memory();
    is($after, $before, 'rounds of record and backward leave no memory behind');
}

done_testing;

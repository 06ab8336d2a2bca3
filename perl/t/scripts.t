use strict;
use warnings;
use Config;
use File::Temp qw(tempdir);
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use AI::MXNet::Gluon::NN qw(nn);
use AI::MXNet::AutoGrad qw(autograd);
use PDL ();

# What scripts do that no one part of the interface tells.

# -- a parameter that is set while it is recorded, as spectral normalisation does: gradients are those of the value that was used

package Normed {
    use AI::MXNet::Gluon::Mouse;
    extends 'AI::MXNet::Gluon::Block';
    has [qw(weight u)] => (is => 'rw');

    sub BUILD
    {
        my $self = shift;
        $self->name_scope(
            sub {
                $self->weight($self->params->get('weight', shape => [2, 3]));
                $self->u($self->params->get('u', shape => [1, 2]));
            }
        );
        return;
    }

    sub forward
    {
        my ($self, $x) = @_;
        my ($w, $u) = ($self->weight->data, $self->u->data);
        my $v = mx->nd->dot($u, $w);
        mx->autograd->pause(sub { $self->u->set_data($u * 2) });
        return mx->nd->dot($x, $v->T);
    }
}

{
    my $net = Normed->new;
    $net->initialize(mx->init->One);
    my $u = $net->u->data;
    my $before = $u->handle;
    my $x = nd->array([[1, 2, 3]]);
    autograd->record(sub { $net->($x)->backward for 1 .. 2 });
    is_close($net->weight->data->grad, [2, 4, 6, 2, 4, 6], 'the second pass used what the first had set');
    is_close($u, [4, 4], 'which arrays that were taken before have, too');
    is($u->handle, $before, 'as the same object');
    is_close($net->u->data->grad, [6, 6], 'its gradient is that of the parameter');
    ok($net->u->data->_fresh_grad, 'and is fresh');
    my $y;
    autograd->record(sub { $y = $net->u->data * $net->u->data });
    $net->u->set_data(nd->ones([1, 2]));
    dies_with(sub { $y->backward }, qr/changed in place/, 'outside of record it is an error, as ever');
}
{
    my $p = gluon->Parameter('w', shape => [3]);
    $p->initialize(init => 'ones');
    my $rows = $p->data->reshape([3, 1]);
    $p->set_data(nd->array([1, 2, 3]));
    is_close($rows, [1, 2, 3], 'outside of record views see a new value');
    undef $rows;
    my ($live) = AI::MXNet::Keshi::memory();
    for (1 .. 50) {
        autograd->record(sub { $p->set_data($p->data + 1) for 1 .. 3; ($p->data * 2)->backward });
    }
    is_close($p->data, [151, 152, 153], 'values after many rounds');
    is((AI::MXNet::Keshi::memory())[0], $live, 'that kept nothing');
    eval {
        autograd->record(sub { $p->set_data(nd->zeros([3])); die "enough\n" });
    };
    is($@, "enough\n", 'an error passes');
    is_close($p->data, [0, 0, 0], 'and leaves the parameter whole');
}

# -- the operator under the name of the method

{
    my $x = nd->arange(stop => 6);
    is_array(nd->reshape($x, shape => [2, 3]), [2, 3], [0 .. 5], 'reshape of the class, by name');
    is_array(nd->reshape($x, { shape => [-1, 2], reverse => 1 }), [3, 2], [0 .. 5], 'by a hash');
    is_array(nd->reshape($x, [3, 2]), [3, 2], [0 .. 5], 'by position');
    dies_with(sub { $x->reshape(3, 2) }, qr/reshape: shape got '3', want one list/, 'sizes without a list');
}

# -- what is no array in the place of one

{
    my $x = nd->ones([2, 3]);
    dies_with(sub { nd->dot($x, PDL->ones(2, 3)) }, qr/dot: input 1 got a PDL, want an AI::MXNet::NDArray/, 'a PDL');
    dies_with(sub { nd->dot($x, mx->sym->var('s')) }, qr/dot: input 1 got an AI::MXNet::Symbol/, 'a symbol');
    dies_with(sub { nd->dot(bless({}, 'Thing'), $x) }, qr/dot: input 0 got a Thing/, 'an object');
    is_close($x->clip(PDL->pdl(2), 3), [(2) x 6], 'a PDL without dimensions is a number');
}

# -- executors

{
    my $data = mx->sym->Variable('data');
    my $deep = $data;
    $deep = $deep * $deep for 1 .. 10;
    my $allocated = sub {
        my ($symbol, @more) = @_;
        my $executor = $symbol->simple_bind(ctx => mx->cpu, shapes => { data => [16, 128, 128] }, @more);
        return $executor->debug_str =~ /^Total (\d+) MB allocated$/m ? $1 : undef;
    };
    is($allocated->($deep), 10, 'debug_str counts the results that the way back needs');
    is($allocated->($deep, grad_req => 'null'), 1, 'only the output where no gradient is wanted');
    is($allocated->(mx->sym->stop_gradient($deep)), 1, 'or reaches the arguments');
    is($allocated->(mx->sym->exp($data) + 1), 2, 'results that a rule keeps count, and arguments do not');

    my $taken = mx->sym->batch_take(mx->sym->var('x'), mx->sym->var('i'));
    my %shapes = (shapes => { x => [4, 4], i => [4] });
    ok(
        !eval { $taken->simple_bind(ctx => mx->cpu, %shapes); 1 },
        'an operator without a gradient cannot be bound for one'
    );
    like($@, qr/Operator batch_take is non-differentiable: use pick/, 'and is named');
    my $cut = mx->sym->stop_gradient($taken)->simple_bind(ctx => mx->cpu, %shapes);
    $cut->forward(1);
    $cut->backward;
    is_close($cut->grad_dict->{x}, [(0) x 16], 'but where nothing goes back through it');
    ok($taken->simple_bind(ctx => mx->cpu, %shapes, grad_req => 'null')->forward, 'or none is wanted');
}
{
    my $x = mx->sym->var('x');
    my $executor = mx->sym->exp($x, name => 'e')->bind(ctx => mx->cpu, args => { x => nd->zeros([2]) });
    my %seen;
    $executor->set_monitor_callback(
        sub {
            my ($name, $handle) = @_;
            $seen{$name} = AI::MXNet::NDArray->new(handle => $handle, writable => 0);
        }
    );
    $executor->forward(0);
    is_close($seen{e_output}, [1, 1], 'a monitor makes an array of what it gets');
    is($seen{e_output}->writable, 0, 'that cannot be written');
    dies_with(sub { AI::MXNet::NDArray->new(handle => 7) }, qr/new: handle got 7/, 'but of nothing else');
}

# -- modules

{
    my $dir = tempdir(CLEANUP => 1);
    my $net = mx->sym->SoftmaxOutput(mx->sym->FullyConnected(mx->sym->var('data'), num_hidden => 2, name => 'fc'),
        name => 'softmax');
    my $train = mx->io->NDArrayIter(nd->ones([4, 3]), label => nd->zeros([4]), batch_size => 2);
    my $module = mx->mod->Module($net);
    local $SIG{__WARN__} = sub { };
    $module->fit($train, num_epoch => 4, epoch_end_callback => mx->callback->do_checkpoint("$dir/net", 2));
    is_deeply(
        [map { s{.*/}{}r } sort glob "$dir/*"],
        [qw(net-0002.params net-0004.params net-symbol.json)],
        'do_checkpoint saves each second epoch'
    );
    my ($symbol, $arg) = AI::MXNet::Module->load_checkpoint("$dir/net", 4);
    is_close($arg->{fc_weight}, ($module->get_params)[0]{fc_weight}, 'what the module has');
    is($symbol->tojson, $net->tojson, 'and the symbol');
}

{
    my $net = mx->sym->FullyConnected(mx->sym->var('data'), num_hidden => 2, name => 'fc');
    my $watched = sub {
        my $module = mx->mod->Module($net, label_names => undef);
        $module->bind(data_shapes => [['data', [2, 3]]]);
        $module->init_params;
        my $monitor = mx->mon->Monitor(1);
        $module->install_monitor($monitor);
        $monitor->tic;
        $module->forward(mx->io->DataBatch(data => [nd->ones([2, 3])]), is_train => 0);
        return scalar @{ $monitor->toc };
    };
    is($watched->(), 4, 'a monitor sees a module');
    my ($live) = AI::MXNet::Keshi::memory();
    $watched->() for 1 .. 5;
    is((AI::MXNet::Keshi::memory())[0], $live, 'and goes with it');
}

# -- modules of Perl that are loaded before AI::MXNet

for my $class (qw(Module RNN Symbol Executor Gluon::NN Gluon::Loss IO KVStore RecordIO TestUtils Optimizer Metric)) {
    my $told = `$^X @{[map { "-I$_" } @INC]} -e "use AI::MXNet::$class; use AI::MXNet qw(mx); print mx->cpu" 2>&1`;
    is($told, 'cpu(0)', "AI::MXNet::$class comes first");
}

done_testing;

use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use AI::MXNet::Gluon::NN qw(nn);
use PDL ();

# Mistakes that everybody makes once: what the message names, and that it stands at the line that made it.

sub filled { my $block = shift; $block->initialize; return $block }
my $x = nd->ones([2, 3]);

# -- constructors

dies_with(sub { nn->Dense() }, qr/^Dense: Attribute \(units\) is required/, 'what is missing');
dies_with(sub { nn->Dense('four') }, qr/^Dense: Attribute \(units\) .*'DimSize' with value four/, 'another type');
dies_with(
    sub { nn->Dense(4, activaton => 'relu') },
    qr/got 4, activaton, relu .*Dense.*by name: activation, /,
    'a misspelt option'
);
dies_with(sub { mx->optimizer->SGD(learning_rate => 'fast') }, qr/\(learning_rate\) .*with value fast/, 'an optimizer');
dies_with(sub { mx->init->Xavier(magnitude => 'big') }, qr/^Xavier: Attribute \(magnitude\)/, 'an initializer');
dies_with(sub { mx->callback->Speedometer('x') }, qr/\(batch_size\) .*with value x/, 'a callback');
dies_with(
    sub { mx->io->DataDesc('a', [1], dtype => 'float') },
    qr/^DataDesc: Attribute \(dtype\)/,
    'a description of data'
);

for my $case (
    [SGD => sub { mx->optimizer->SGD(lr => 1) }, qr/SGD: it has no lr, but .*learning_rate/],
    [L2Loss => sub { gluon->loss->L2Loss(wieght => 1) }, qr/L2Loss: it has no wieght, but batch_axis, .*weight/],
    )
{
    my ($what, $code, $text) = @$case;
    my $warning = '';
    local $SIG{__WARN__} = sub { $warning .= $_[0] };
    $code->();
    like($warning, $text, "$what: an option that there is not is told");
}

package Net {
    use AI::MXNet::Gluon::Mouse;
    extends 'AI::MXNet::Gluon::Block';
    has width => (is => 'ro', isa => 'Int');
}
ok(!eval { Net->new(width => 'x') }, 'a class of the script');
like($@, qr/Attribute \(width\)/, 'dies as Mouse has it');
{
    my @warnings;
    local $SIG{__WARN__} = sub { push @warnings, @_ };
    Net->new(depth => 3);
    is(@warnings, 0, 'and may look for other arguments itself');
}

# -- operators

dies_with(
    sub { $x->sum(axs => 1) },
    qr/sum: Invalid Parameter format for axis .*'axs' is no name of a parameter; there are axis, keepdims, exclude\)/,
    'a misspelt parameter'
);
dies_with(
    sub { nd->Activation($x, act_type => 'relu', nam => 1) },
    qr/Too many positional arguments.*'nam' is no name/,
    'one too many'
);
dies_with(
    sub { $x->sum(axis => 9) },
    qr/sum: axis is out of range, got 9, want -2 to 1 for 2 axes at/,
    'a value that is wrong'
);

# -- blocks

dies_with(sub { nn->Dense(4)->($x) }, qr/Parameter 'dense\d+_weight' has not been initialized/, 'no initialize');
dies_with(
    sub { nn->Dense(4)->initialize(ctx => mx->cpu) },
    qr/initialize: got ctx first, want the initializer before it/,
    'initialize by name alone'
);
dies_with(
    sub { filled(nn->Dense(4, in_units => 5))->($x) },
    qr/FullyConnected: Shape inconsistent, input 1 got \(4,5\), want \(4,3\)/,
    'another width'
);
dies_with(sub { filled(nn->Conv2D(4, 3))->($x) }, qr/conv\d+_fwd: .*\(2,3\)/, 'too few axes');
dies_with(sub { filled(nn->Dense(4))->(PDL->ones(3, 2)) }, qr/either Symbol or NDArray, but got \[PDL\]/, 'a PDL');
dies_with(
    sub { filled(gluon->rnn->LSTM(5))->($x) },
    qr/LSTM: inputs got shape \(2,3\), want three axes, TNC/,
    'a sequence without an axis'
);
dies_with(
    sub { filled(nn->Dense(4, in_units => 3))->(nd->ones([2, 3], ctx => mx->cpu(1))) },
    qr/was not initialized on context cpu\(1\). It was only initialized on cpu\(0\)/,
    'another context'
);

dies_with(
    sub { filled(gluon->rnn->LSTMCell(3))->($x) },
    qr/^LSTMCell: states got nothing, want a list of 2/,
    'a cell without states'
);
dies_with(
    sub { filled(gluon->rnn->GRUCell(3))->($x, nd->ones([2, 3])) },
    qr/^GRUCell: states got AI::MXNet::NDArray, want a list of 1/,
    'a state alone'
);
dies_with(
    sub { nn->Dense(2)->register_forward_hook(3) },
    qr/register_forward_hook: got 3, want a sub/,
    'a hook that is none'
);

# -- losses

my $l2 = gluon->loss->L2Loss;
dies_with(sub { $l2->($x) }, qr/L2Loss: labels got nothing, want an AI::MXNet::NDArray/, 'no labels');
dies_with(sub { $l2->($x, PDL->ones(3, 2)) }, qr/L2Loss: labels got PDL/, 'labels as a PDL');
dies_with(sub { $l2->($x, nd->ones([2, 4])) }, qr/L2Loss: got shapes \(2,4\) and \(2,3\)/, 'too many labels');
dies_with(sub { $l2->($x, nd->ones([2])) }, qr/L2Loss: got shapes \(2\) and \(2,3\)/, 'too few');
dies_with(
    sub { gluon->loss->SoftmaxCrossEntropyLoss->($x, nd->ones([3])) },
    qr/pick: index has the wrong shape, got \(3,\), want \(2,\)/,
    'labels of other samples'
);
is_close($l2->(nd->ones([2, 1]), nd->zeros([2])), [0.5, 0.5], 'a column and a row of labels');

# -- training

{
    my $net = filled(nn->Dense(4, in_units => 3));
    my $trainer = gluon->Trainer($net->collect_params, 'sgd');
    dies_with(
        sub { $trainer->step },
        qr/step: got nothing, want the size of the batch/,
        'a step without the size of a batch'
    );
    dies_with(sub { $trainer->step(0) }, qr/step: got 0/, 'of none');
    dies_with(
        sub { gluon->Trainer($net->collect_params, 'sgdd') },
        qr/Cannot find optimizer sgdd/,
        'an optimizer that there is not'
    );
}
dies_with(
    sub { my $v = nd->ones([2]); autograd->grad($v * 2, $v) },
    qr/variable 0 is not in a computational graph/,
    'no record'
);

# -- symbols

my $net = mx->sym->FullyConnected(mx->sym->var('data'), num_hidden => 3, name => 'fc');
{
    local $SIG{__WARN__} = sub { };
    ok(!eval { $net->simple_bind(ctx => mx->cpu, shapes => { dta => [2, 3] }) }, 'a shape for a misspelt argument');
    like($@, qr/there is no argument dta/, 'which is named');
}
# -- modules

{
    my $bound = sub {
        my $module = mx->mod->Module($net, label_names => undef);
        $module->bind(data_shapes => [['data', [2, 3]]]);
        $module->init_params;
        return $module;
    };
    my $module = $bound->();
    dies_with(
        sub { $module->forward([$x]) },
        qr/forward: got ARRAY, want an mx->io->DataBatch/,
        'a list instead of a batch'
    );
    dies_with(
        sub { $module->forward(mx->io->DataBatch(data => [nd->ones([2, 4])])) },
        qr/Module: fc_weight has shape \(3,3\), but the network wants \(3,4\) with data of shape \(2,4\)/,
        'data of another width'
    );
    $module->forward(mx->io->DataBatch(data => [nd->ones([5, 3])]), is_train => 0);
    is_deeply($module->get_outputs->[0]->shape,
        [5, 3], 'after which the module is what it was, and takes other batches');
    dies_with(
        sub { mx->mod->Module($net, label_names => undef, context => 'cpu') },
        qr/Module: context got cpu, want mx->cpu/,
        'text as context'
    );
    dies_with(
        sub { mx->mod->Module($net, label_names => undef)->fit($x, num_epoch => 1) },
        qr/fit: got AI::MXNet::NDArray, want an iterator/,
        'an array to fit'
    );
    dies_with(
        sub { mx->mod->Module($net, label_names => undef)->predict(mx->io->NDArrayIter($x)) },
        qr/predict: call bind before it/,
        'predict first'
    );
}
{
    my $module = mx->mod->Module($net, label_names => undef);
    dies_with(sub { $module->bind(data_shapes => 'x') }, qr/bind: data_shapes got x, want a list/, 'shapes as text');
    dies_with(
        sub { $module->bind(data_shapes => ['data', [2, 3]]) },
        qr/bind: data_shapes got ARRAY.*want a list of descriptions/,
        'a pair that is in no list'
    );
    $module->bind(data_shapes => [['data', [2, 3]]]);
    dies_with(sub { $module->init_params(initializer => 'xavierr') }, qr/Cannot find initializer xavierr/, 'a name');
    dies_with(sub { $module->init_params(initializer => {}) }, qr/init_params: initializer got HASH/, 'a hash');
    $module->init_params(initializer => 'one');
    for my $missing (0, 1) {
        my %given = (fc_weight => nd->ones([4, 4]), fc_bias => nd->ones([3]));
        dies_with(
            sub { $module->set_params(\%given, {}, allow_missing => $missing) },
            qr/^fc_weight: Shape inconsistant: expected 3,3 vs got 4,4/,
            "a parameter of another shape, $missing"
        );
    }
    is_close(($module->get_params)[0]{fc_weight}, [(1) x 9], 'the name of an initializer will do');
}
dies_with(sub { mx->viz->print_summary('x') }, qr/visualization: got x, want an AI::MXNet::Symbol/, 'no symbol');
dies_with(sub { mx->sym->Group([]) }, qr/Group: Validation failed/, 'an empty group');
dies_with(sub { (mx->sym->var('a') + 1)->(b => mx->sym->var('c')) }, qr/^compose: Cannot find argument 'b'/, 'compose');
dies_with(sub { nd->zeros([1e9, 1e9, 1e9]) }, qr/^shape \(.*\) has too many elements/, 'too large an array');

# -- data and updaters

dies_with(
    sub { gluon->data->DataLoader(bless({}, 'Thing'), batch_size => 1) },
    qr/DataLoader: dataset got Thing=.*, want a list/,
    'an object that is no set'
);
dies_with(
    sub { gluon->SymbolBlock($x, mx->sym->var('a')) },
    qr/SymbolBlock: got <AI::MXNet::NDArray.*want symbols/,
    'an array for a symbol'
);
dies_with(
    sub { mx->optimizer->get_updater(mx->optimizer->SGD)->(0, $x) },
    qr/updater: got undef, want a gradient and a weight/,
    'no weight'
);
dies_with(
    sub { mx->image->center_crop(nd->ones([2, 2, 3], dtype => 'uint8'), 3) },
    qr/a size got 3, want \[width, height\]/,
    'one number as a size'
);

dies_with(
    sub { AI::MXNet::Gluon::ModelZoo::Vision->get_model('resnet19_v1') },
    qr/resnet19_v1 is not present .*resnet18_v1/,
    'a network'
) if require AI::MXNet::Gluon::ModelZoo;

done_testing;

use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use Scalar::Util qw(refaddr);

needs_operators(qw(FullyConnected Activation mean));

my $dir = tempdir(CLEANUP => 1);

sub warnings_of
{
    my $code = shift;
    my @warnings;
    local $SIG{__WARN__} = sub { push @warnings, @_ };
    $code->();
    return @warnings;
}

# -- blocks of one's own

{

    package Two;
    use AI::MXNet::Gluon::Mouse;
    extends 'AI::MXNet::Gluon::Block';
    has 'width' => (is => 'rw', default => 3);
    has 'extra' => (is => 'rw', trigger => sub { $_[0]{told}++ });

    sub BUILD
    {
        my $self = shift;
        $self->name_scope(
            sub {
                $self->first(nn->Dense($self->width, in_units => 2, activation => 'relu'));
                $self->second(nn->Dense(1, in_units => $self->width));
            }
        );
        return;
    }
    sub forward { my ($self, $x) = @_; return $self->second->($self->first->($x)) }
}

my $two = Two->new(prefix => 'two_', width => 4);
is_deeply(
    [$two->collect_params->keys],
    [qw(two_dense0_weight two_dense0_bias two_dense1_weight two_dense1_bias)],
    'parameters of the children, in order'
);
is("$two", "Two(\n  (first): Dense(4 -> 2, Activation(relu))\n  (second): Dense(1 -> 4, linear)\n)", 'its text');
$two->initialize(mx->init->One());
is_array($two->(nd->array([[1, 2], [-5, 1]])), [2, 1], [12, 0], 'it computes');
my @list = $two->(nd->ones([1, 2]));
is(scalar(@list), 1, 'in list context too');
$two->extra('x');
is($two->{told}, 1, 'a trigger of the attribute runs as well');
is($two->nothing_yet, undef, 'any name is an attribute');
$two->nothing_yet(7);
is($two->nothing_yet, 7, 'that holds a value');
dies_with(sub { $two->first(nn->Dropout(0.5)) }, qr/Changing attribute type for two/, 'a child of another class');
dies_with(sub { Two->misspelt }, qr/Can't locate object method "misspelt"/, 'a method of a class is no attribute');
eval { my $same = $two == $two };
like($@, qr/no method found/, 'blocks are not compared');
dies_with(sub { AI::MXNet::Gluon::Block->new->(1) }, qr/Not Implemented/, 'a block without forward');
isa_ok(AI::MXNet::Gluon::NN::Dense->new(3), 'AI::MXNet::Gluon::NN::Dense', 'a class that is also a method');

{
    my @warned = warnings_of(sub { $two->bag([nn->Dense(1)]); $two->collect_params });
    is(scalar(grep { /"Two.bag" is a unregsitered container with Blocks/ } @warned), 1,
        'blocks in a list are reported');
    $two->bag(undef);
}

# -- names

{
    my $net = nn->Sequential(prefix => 'n_');
    $net->name_scope(sub { $net->add(nn->Dense(1), nn->Sequential(prefix => ''), nn->Dense(1, prefix => 'last_')) });
    is_deeply([map { $_->prefix } @$net], [qw(n_dense0_ n_ n_last_)], 'prefixes inside a scope');
    eval {
        $net->name_scope(sub { die "inside\n" });
    };
    is($@, "inside\n", 'an error inside goes on');
    unlike(nn->Dense(1)->prefix, qr/n_/, 'and the scope ends');
    my $inside;
    $net->name_scope(sub { $inside = nn->Dense(1, params => $net->[0]->params) });
    is($inside->params->prefix, 'n_dense0_', 'parameters are shared inside a scope too');
}

# -- constructors

dies_with(sub { nn->Dense(4, 5) }, qr/Paramers mismatch expected units/, 'too many positional arguments');
dies_with(sub { nn->Dense(4, bogus => 1) }, qr/Paramers mismatch expected/, 'an unknown name');
like(eval { nn->Dense(); 1 } ? '' : $@, qr/Attribute \(units\) is required/, 'a missing one');

# -- parameters

{
    my $p = gluon->Parameter('w', shape => [2, 0], allow_deferred_init => 1);
    $p->initialize(init => 'ones');
    dies_with(sub { $p->data }, qr/DeferredInitializationError: Parameter 'w'/, 'data of a deferred parameter');
    $p->shape([2, 3]);
    $p->_finish_deferred_init;
    is_array($p->data, [2, 3], [(1) x 6], 'and once its shape is known');
    dies_with(sub { $p->shape([2, 4]) }, qr/Expected shape is incompatible with given shape/, 'a shape that differs');
    dies_with(sub { $p->shape([2]) }, qr/Expected shape is incompatible/, 'or has fewer dimensions');
    $p->grad_req('null');
    dies_with(sub { $p->grad }, qr/grad_req='null'/, 'no gradient when none is wanted');
    $p->grad_req('add');
    autograd->record(sub { ($p->data * 2)->backward }) for 1, 2;
    is_array($p->grad, [2, 3], [(4) x 6], 'gradients are added');
    $p->zero_grad;
    is_array($p->grad, [2, 3], [(0) x 6], 'and set to zero');
    $p->cast('float64');
    is($p->data->dtype . $p->grad->dtype, 'float64float64', 'cast');
    is(scalar(warnings_of(sub { $p->initialize })), 1, 'initializing again warns');
}
{
    my $given = mx->init->Constant(4);
    my $p = gluon->Parameter('some_bias', shape => [2]);
    $p->initialize(default_init => $given);
    is_close($p->data, [4, 4], 'the default initializer, whatever the name');

    package Counting;
    use Mouse;
    extends 'AI::MXNet::Initializer';
    has seen => (is => 'rw', default => 0);
    sub _init_weight { my ($self, $name, $array) = @_; $self->seen($self->seen + 1); $array .= 3; return }

    package main;
    my $own = Counting->new;
    my $q = gluon->Parameter('q', shape => [2], init => $own);
    $q->initialize;
    is_close($q->data, [3, 3], 'an initializer of a class that nobody registered');
    is($own->seen, 1, 'and it is the object itself that is asked');
}
{
    my $p = gluon->Parameter('w', shape => [2]);
    $p->initialize(init => mx->init->Constant(3), ctx => [mx->cpu(0), mx->cpu(1)]);
    is(join(' ', map { $_->context } @{ $p->list_data }), 'cpu(0) cpu(1)', 'a copy on each context');
    dies_with(sub { $p->data(mx->cpu(2)) }, qr/only initialized on cpu\(0\) cpu\(1\)/, 'not on another');
    $p->list_data->[1] .= 5;
    $p->reset_ctx(ctx => mx->cpu(3));
    is_close($p->data, [4, 4], 'their mean on a new one');
}

# -- dictionaries

{
    my $d = gluon->ParameterDict('d_');
    my $w = $d->get('w', shape => [0, 3], allow_deferred_init => 1);
    is(refaddr($d->get('w', shape => [2, 0])), refaddr($w), 'found again');
    is_deeply($w->shape, [2, 3], 'known sizes fill in');
    dies_with(sub { $d->get('w', shape => [2, 4]) }, qr/does not match with stored for attribute shape/,
        'others clash');
    dies_with(sub { $d->get('w', colour => 1) }, qr/unknown param colour/, 'an unknown attribute');
    is("$d", "d_ (\n   Parameter d_w (shape=(2, 3), dtype=float32, stype=default)\n)", 'its text');
    my $c = $d->get_constant('c', [[1, 2]]);
    is(refaddr($d->get_constant('c')), refaddr($c), 'a constant is found again');
    dies_with(sub { $d->get_constant('c', [3]) }, qr/reinit of Constant d_c/, 'but not given twice');
    $d->initialize(init => mx->init->One());
    is_close($c->data, [1, 2], 'a constant keeps its value');
    is(scalar(warnings_of(sub { $c->grad_req('write') })), 1, 'and has no gradient');
}

# -- files

{
    my $make = sub {
        my $net = nn->Sequential;
        my $in = nn->Sequential;
        $in->add(nn->Dense(2, in_units => 2), nn->Dense(2, in_units => 2));
        $net->add($in, nn->Dense(1, in_units => 2));
        return $net;
    };
    my $net = $make->();
    $net->initialize(mx->init->Uniform(1));
    my $x = nd->array([[1, 2], [3, 4]]);
    my @keys = qw(0.0.bias 0.0.weight 0.1.bias 0.1.weight 1.bias 1.weight);
    $net->save_parameters("$dir/net");
    is_deeply([sort keys %{ nd->load("$dir/net") }], \@keys, 'parameters are saved by their place');
    my $again = $make->();
    $again->load_parameters("$dir/net");
    is_close($again->($x), $net->($x), 'and loaded');

    # The names that AI::MXNet wrote, without the first dot.
    my $file = nd->load("$dir/net");
    nd->save("$dir/old", { map { s/^0\./0/r => $file->{$_} } keys %$file });
    my $old = $make->();
    $old->load_parameters("$dir/old");
    is_close($old->($x), $net->($x), 'files of AI::MXNet load');

    # One layer alone: all its names there are without a dot.
    my $alone = nn->Sequential;
    $alone->add(nn->Dense(1, in_units => 2));
    nd->save("$dir/alone", { '0weight' => nd->array([[2, 3]]), '0bias' => nd->array([1]) });
    $alone->load_parameters("$dir/alone");
    is_close($alone->(nd->array([[1, 1]])), [6], 'of a single layer too');

    $net->collect_params->save("$dir/names");
    my $third = $make->();
    dies_with(sub { $third->load_parameters("$dir/names") }, qr/is missing in file/, 'names of another network');
    dies_with(sub { $net->collect_params->save("$dir/x", 'zz_') }, qr/Prefix zz_ is to be striped/, 'a wrong prefix');
    my $dense = sub { nn->Dense(1, in_units => 2, prefix => $_[0]) };
    my $left = $dense->('left_');
    $left->initialize(mx->init->Constant(3));
    $left->collect_params->save("$dir/left", 'left_');
    my $right = $dense->('right_');
    $right->load_parameters("$dir/left");
    is_close($right->weight->data, [3, 3], 'names without the prefix load into a block with another');
    dies_with(sub { $again->[0]->load_parameters("$dir/net") }, qr/is missing in file/, 'missing names');
    my $less = nn->Sequential;
    $less->add(nn->Sequential, nn->Dense(1, in_units => 2));
    dies_with(sub { $less->load_parameters("$dir/net") }, qr/is not present in ParameterDict/, 'names too many');
    $less->load_parameters("$dir/net", ignore_extra => 1);
    is_close($less->[1]->weight->data, $net->[1]->weight->data, 'unless they are ignored');
}

# -- summary

{
    my $net = nn->Sequential;
    $net->add(nn->Dense(3, in_units => 2, activation => 'relu'), nn->Dense(1, in_units => 3, use_bias => 0));
    $net->initialize;
    my $printed = '';
    {
        open my $out, '>', \$printed or die $!;
        my $before = select $out;
        $net->summary(nd->ones([4, 2]));
        select $before;
    }
    my @rows = $printed =~ /^ +(\S+) +(\(.*?\)) +(\d+)$/mg;
    is_deeply(
        \@rows,
        ['Input', '(4, 2)', 0, 'Activation-1', '(4, 3)', 0, 'Dense-2', '(4, 3)', 9, 'Dense-3', '(4, 1)', 3],
        'rows of the summary'
    );
    like($printed, qr/Total params: 12\n/, 'and its sum');
    ok(!$net->[0]->_forward_hooks->keys, 'the hooks are gone again');
    eval { $net->summary(nd->ones([4, 9])) };
    ok($@, 'an error inside is not hidden');

    my $deferred = nn->Sequential;
    $deferred->add(nn->Dense(3, activation => 'relu'));
    $deferred->initialize;
    open my $out, '>', \my $table or die $!;
    my $before = select $out;
    $deferred->summary(nd->ones([4, 2]));
    select $before;
    like(
        $table,
        qr/Activation-1 +\(4, 3\).*Dense-2 +\(4, 3\) +9\n/s,
        'layers that look for their shapes meanwhile have one row each'
    );
}

# -- trainers

{
    my $p = gluon->Parameter('x', shape => [10]);
    $p->initialize(ctx => [mx->cpu(0), mx->cpu(1)], init => 'zeros');
    my $trainer = gluon->Trainer([$p], 'sgd', { learning_rate => 1, momentum => 0.5 });
    my $step = sub {
        autograd->record(sub { ($_ + 1)->backward for @{ $p->list_data } });
        $trainer->step(1);
    };
    $step->();
    is_close($p->data(mx->cpu(1)), [(-2) x 10], 'gradients of the contexts are summed');
    $trainer->save_states("$dir/states");
    $p->lr_mult(0.5);
    $step->();
    is_close($p->data(mx->cpu(0)), [(-4) x 10], 'the multiplier of a parameter counts at once');
    $trainer->load_states("$dir/states");
    is($trainer->learning_rate(undef), 1, 'states are loaded');
    dies_with(sub { $trainer->update(1) }, qr/is not supported/, 'no update by hand in the store');
}
{
    my $p = gluon->Parameter('x', shape => [2]);
    $p->initialize(init => 'zeros');
    my $trainer = gluon->Trainer([$p], 'adam', { learning_rate => 0.5 });
    my $step = sub {
        autograd->record(sub { ($p->data * 3)->backward });
        $_[0]->step(1);
    };
    $step->($trainer);
    $trainer->save_states("$dir/adam");
    my $keep = $p->data->copy;
    $step->($trainer) for 1, 2;
    my $want = $p->data->copy;
    $p->set_data($keep);
    my $other = gluon->Trainer([$p], 'adam', { learning_rate => 9 });
    $other->load_states("$dir/adam");
    $step->($other) for 1, 2;
    is_close($p->data, $want, 'states without a store: it goes on where it was, the optimizer included');
    is(scalar(warnings_of(sub { $other->step(1) })), 1, 'a stale gradient warns');
    my $before = $p->data->copy;
    is(scalar(warnings_of(sub { $other->step(1, 1) })), 0, 'unless it is ignored');
    is_close($p->data, $before, 'and left alone');
    dies_with(sub { gluon->Trainer([1], 'sgd') }, qr/got list of \[1\]/, 'no parameters');
    dies_with(sub { gluon->Trainer([$p], 'nosuch') }, qr/Cannot find optimizer nosuch/, 'no such optimizer');
}

# -- utils

{
    my $x = nd->arange(stop => 24)->reshape([6, 4]);
    is_deeply([map { $_->shape->[0] } @{ gluon->utils->split_data($x, 4, 0, even_split => 0) }], [1, 1, 1, 3], 'split');
    is_deeply([map { $_->shape } @{ gluon->utils->split_data($x, 2, 1) }], [[6, 2], [6, 2]], 'along another axis');
    dies_with(sub { gluon->utils->split_data($x, 4) }, qr/cannot be evenly split into 4 slices/, 'unevenly');
    my @arrays = (nd->ones([3, 3]), nd->ones([4, 4]));
    is(gluon->utils->clip_global_norm(\@arrays, 1), 5, 'the norm of all');
    is_close($arrays[1], [(0.2) x 16], 'is cut');
    is(scalar(warnings_of(sub { gluon->utils->clip_global_norm([nd->array(['nan'])], 1) })), 1, 'nan warns');
    open my $out, '>', "$dir/file" or die $!;
    print {$out} "hello\n";
    close $out or die $!;
    my $sha1 = 'f572d396fae9206628714fb2ce00f72e94f2258f';
    ok(AI::MXNet::Gluon::Utils::check_sha1("$dir/file", $sha1), 'a checksum');
    is(AI::MXNet::Gluon::Utils::download('http://localhost/file', path => $dir, sha1_hash => $sha1),
        "$dir/file", 'a file that is there is not fetched');
    dies_with(
        sub { AI::MXNet::Gluon::Utils::download('http://127.0.0.1:9/other', path => $dir) },
        qr/Failed downloading url .*put the file at \Q$dir\E\/other yourself/s,
        'without a network it says where the file belongs'
    );
}

done_testing;

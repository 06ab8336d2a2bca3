package AI::MXNet::Operator;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Context;
use AI::MXNet::CustomOp;
use AI::MXNet::CustomOpProp;
use Scalar::Util qw(blessed);

my %class;

sub register
{
    my ($self, $name, $class) = @_;
    return sub { $self->register($name, @_) }
        if @_ == 2;
    AI::MXNet::Keshi::fail('register: a name is wanted, got ' . ($name // 'undef'))
        if not length($name // '')
        or ref $name;
    AI::MXNet::Keshi::fail(
        "register: $name got " . ($class // 'undef') . ', want a subclass of AI::MXNet::CustomOpProp')
        if not defined $class
        or not eval { $class->isa('AI::MXNet::CustomOpProp') };
    AI::MXNet::Keshi::register_operator($name, ref $class || $class);
    $class{$name} = ref $class || $class;
    return $class;
}

# The inputs of a call with these keywords, auxiliary states last.
sub list_arguments
{
    my ($self, %named) = @_;
    my ($name) = delete @named{qw(op_type name out)};
    my $class = $class{ $name // '' } or return [];
    my $prop = $class->new(map { $_ => AI::MXNet::Symbol::Base::text_of($named{$_}) } keys %named);
    return [map { _list($prop->$_) } qw(list_arguments list_auxiliary_states)];
}

# What the operator is called with: inputs by name are put in the order that it lists.
sub arrange
{
    my ($self, @args) = @_;
    my $is_array = sub { blessed($_[0]) && $_[0]->isa('AI::MXNet::NDArray') };
    my %named = ref $args[-1] eq 'HASH' ? %{ pop @args } : ();
    my @inputs;
    push @inputs, shift @args while $is_array->($args[0]);
    AI::MXNet::Keshi::fail('Custom: got an odd number of named arguments behind the inputs') if @args % 2;
    %named = (%named, @args);
    my %given = map { $_ => delete $named{$_} } grep { $_ ne 'out' && $is_array->($named{$_}) } keys %named;

    if (%given) {
        my @listed;
        for my $name (@{ $self->list_arguments(%named) }) {
            push @listed, delete $given{$name} // shift @inputs if exists $given{$name} or @inputs;
        }
        unshift @inputs, @listed;
        AI::MXNet::Keshi::fail("Custom: Cannot find argument '$_'") for sort keys %given;
    }
    delete $named{name};
    return (@inputs, \%named);
}

# -- what the library calls

sub _list { return @_ == 1 && ref $_[0] eq 'ARRAY' ? @{ $_[0] } : @_ }

sub _property
{
    my ($class, $keywords) = @_;
    my $prop = $class->new(%$keywords);
    AI::MXNet::Keshi::fail("$class: new made no object") if not blessed $prop;
    my ($arguments, $outputs, $states) =
        map { [_list($prop->$_)] } qw(list_arguments list_outputs list_auxiliary_states);
    my @grads = (0 .. $#$outputs);
    my @data = map { @$outputs + $_ } 0 .. $#$arguments;
    my @results = map { @$outputs + @$arguments + $_ } 0 .. $#$outputs;
    my %needed = map { $_ => 1 } _list($prop->declare_backward_dependency(\@grads, \@data, \@results));
    return [$prop, [@$arguments, @$states], $outputs, scalar(grep { $needed{$_} } @grads), scalar @$states];
}

# Takes the auxiliary states off the end of a list of inputs.
sub _split
{
    my ($inputs, $num_states) = @_;
    return [splice @$inputs, @$inputs - $num_states];
}

# In what follows the first argument is what _property made, or _create.

# The lists of inputs, states and outputs that an inference gave, as one.
sub _inferred
{
    my ($made, $method, $ins, $num_outputs) = @_;
    my $states = _split($ins, $made->[4]);
    my @lists = _list($made->[0]->$method($ins));
    AI::MXNet::Keshi::fail("$method must return lists for inputs and outputs, and one for states where there are some")
        if @lists < (@$states ? 3 : 2)
        or grep { ref ne 'ARRAY' } @lists;
    my @all;
    for (['input', 0, scalar @$ins], ['auxiliary state', 2, scalar @$states], ['output', 1, $num_outputs]) {
        my ($what, $at, $want) = @$_;
        my $list = $lists[$at] // [];
        AI::MXNet::Keshi::fail("$method must return one for each $what, got " . @$list . ", want $want")
            if @$list != $want;
        push @all, @$list;
    }
    return \@all;
}

# A size of 0 is an unknown one, unless all is known and there is one among the inputs.
sub _infer_shape
{
    my ($made, $ins, $num_outputs) = @_;
    my $empty = not grep { !@$_ } @$ins;
    my $all = _inferred($made, infer_shape => [map { [@$_] } @$ins], $num_outputs);
    for my $shape (@$all) {
        next if not defined $shape;
        AI::MXNet::Keshi::fail("infer_shape told $shape, want a list of sizes")
            if ref $shape ne 'ARRAY'
            or grep { !defined or !/^-?\d+$/ } @$shape;
        $shape = [map { $_ > 0 || ($_ == 0 && $empty) ? $_ : -1 } @$shape];
        $shape = undef if not @$shape and not $empty;
    }
    return $all;
}

sub _infer_type { return _inferred($_[0], 'infer_type', @_[1, 2]) }

sub _create
{
    my ($made, $type, $id, $shapes, $dtypes) = @_;
    my $ctx = $type == 3 ? AI::MXNet::Context->cpu_pinned($id) : AI::MXNet::Context->cpu($id);
    _split($_, $made->[4]) for $shapes, $dtypes;
    my $op = $made->[0]->create_operator($ctx, $shapes, $dtypes);
    for my $method (qw(forward backward)) {
        AI::MXNet::Keshi::fail(
            'create_operator made ' . ($op // 'undef') . ', want an object with methods forward and backward')
            if not blessed $op
            or not $op->can($method);
    }
    return [$op, $made->[4]];
}

sub _forward
{
    my ($made, $training, $ins, $outs) = @_;
    my $states = _split($ins, $made->[1]);
    $made->[0]->forward($training, [('write') x @$outs], $ins, $outs, $states);
    return;
}

sub _backward
{
    my ($made, $req, $grads, $ins, $outs, $in_grads) = @_;
    my $states = _split($ins, $made->[1]);
    _split($_, $made->[1]) for $req, $in_grads;
    $made->[0]->backward($req, $grads, $ins, $outs, $in_grads, $states);
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::Operator - operators of one's own, by name

=head1 SYNOPSIS

    use AI::MXNet qw(mx);

    package Sigmoid;
    use parent -norequire, 'AI::MXNet::CustomOp';

    sub forward
    {
        my ($self, $is_train, $req, $in_data, $out_data, $aux) = @_;
        $self->assign($out_data->[0], $req->[0], 1 / (1 + exp(-$in_data->[0])));
    }

    sub backward
    {
        my ($self, $req, $out_grad, $in_data, $out_data, $in_grad, $aux) = @_;
        my $y = $out_data->[0];
        $self->assign($in_grad->[0], $req->[0], $out_grad->[0] * $y * (1 - $y));
    }

    package SigmoidProp;
    use parent -norequire, 'AI::MXNet::CustomOpProp';
    sub create_operator { return Sigmoid->new }

    package main;
    mx->operator->register('my_sigmoid', 'SigmoidProp');
    my $x = nd->array([-1, 0, 1]);
    $x->attach_grad;
    my $y;
    autograd->record(sub { $y = nd->Custom($x, op_type => 'my_sigmoid') });
    $y->backward;
    print $x->grad->aspdl, "\n";
    print mx->sym->Custom(mx->sym->Variable('x'), op_type => 'my_sigmoid', name => 's')->list_outputs->[0], "\n";

=head1 DESCRIPTION

What is registered is called by the operator C<Custom>, with arrays, in symbols, executors and modules, and in hybridized blocks. Every
keyword of the call but C<op_type>, C<name> and C<out> goes to C<new> of the registered class, as a text.

=over 4

=item register($name, $class)

Makes C<op_type =E<gt> $name> mean this subclass of L<AI::MXNet::CustomOpProp> from now on. Without a class it returns a sub that takes one.

=item list_arguments(op_type =E<gt> $name, %keywords)

The inputs of such a call.

=item arrange(@inputs, %named)

What C<nd-E<gt>Custom> calls the operator with: inputs by name are in their places, keywords in a hash behind them.

=back

=head1 SEE ALSO

L<AI::MXNet::CustomOp>, L<AI::MXNet::CustomOpProp>; L<AI::MXNet::AutoGrad::Function> for a gradient without a name

=cut

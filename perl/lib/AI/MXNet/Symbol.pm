package AI::MXNet::Symbol;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Base qw(DTYPE_STR_TO_MX STORAGE_TYPE_STR_TO_ID);
use AI::MXNet::NS;
use AI::MXNet::Symbol::AttrScope;
use AI::MXNet::Symbol::Base;
use AI::MXNet::Symbol::Bind;
use AI::MXNet::Symbol::Infer;
use AI::MXNet::Symbol::NameManager;
use AI::MXNet::Symbol::Random;
use Scalar::Util qw(blessed looks_like_number);

our @ISA = ('AI::MXNet::Symbol::Bind', 'AI::MXNet::Symbol::Infer', 'AI::MXNet::Symbol::Base')
    ;    ## no critic (ProhibitExplicitISA)

# What the library calls its lists.
use constant {
    LIST_ARGUMENTS => 0,
    LIST_OUTPUTS => 1,
    LIST_AUXILIARY_STATES => 2,
    LIST_INPUTS => 3,
    LIST_NAME => 4,
    LIST_ATTRIBUTES => 5,
    LIST_ALL_ATTRIBUTES => 6,
    LIST_JSON => 7,
};

# Operators on two symbols, on a symbol and a number, and on a number and a symbol.
my %arithmetic;

BEGIN {
    %arithmetic = (
        '+' => [qw(_Plus _PlusScalar _PlusScalar)],
        '-' => [qw(_Minus _MinusScalar _RMinusScalar)],
        '*' => [qw(_Mul _MulScalar _MulScalar)],
        '/' => [qw(_Div _DivScalar _RDivScalar)],
        '%' => [qw(_Mod _ModScalar _RModScalar)],
        '**' => [qw(_Power _PowerScalar _RPowerScalar)],
        '==' => [qw(_equal _equal_scalar _equal_scalar)],
        '!=' => [qw(_not_equal _not_equal_scalar _not_equal_scalar)],
        '>' => [qw(_greater _greater_scalar _lesser_scalar)],
        '>=' => [qw(_greater_equal _greater_equal_scalar _lesser_equal_scalar)],
        '<' => [qw(_lesser _lesser_scalar _greater_scalar)],
        '<=' => [qw(_lesser_equal _lesser_equal_scalar _greater_equal_scalar)],
        maximum => [qw(_Maximum _MaximumScalar _MaximumScalar)],
        minimum => [qw(_Minimum _MinimumScalar _MinimumScalar)],
        hypot => [qw(_Hypot _HypotScalar _HypotScalar)],
    );
}

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub _is_symbol { return blessed($_[0]) && $_[0]->isa(__PACKAGE__) }

sub _binary
{
    my ($what, $self, $other, $swapped) = @_;
    my ($both, $right, $left) = @{ $arithmetic{$what} };
    return $self->$both($other) if _is_symbol($other);
    _fail("$what: Validation failed: got " . ($other // 'undef') . ', want an AI::MXNet::Symbol or a number')
        if ref $other
        or not looks_like_number($other);
    my $operator = $swapped ? $left : $right;
    return $self->$operator(scalar => $other);
}

use overload (
    map {
        my $what = $_;
        $what => sub { _binary($what, @_) }
    } grep { /^\W/ } keys %arithmetic
    ),
    '""' => \&text,
    'bool' => sub { 1 },
    '@{}' => \&_outputs,
    '&{}' => sub {
    my $self = shift;
    return sub { $self->call(@_) }
    };

for my $name (grep { /^\w/ } keys %arithmetic) {
    no strict 'refs';
    *$name = sub {
        my ($class, @operands) = @_;
        unshift @operands, $class if ref $class;
        my ($lhs, $rhs) = @operands;
        return _is_symbol($lhs) ? _binary($name, $lhs, $rhs) : _binary($name, $rhs, $lhs, 1);
    };
}

sub text
{
    my $self = shift;
    my $name = $self->name;
    return "<AI::MXNet::Symbol $name>" if defined $name;
    return '<AI::MXNet::Symbol group [' . join(', ', map { $_->name } @$self) . ']>';
}

# -- constructors

# A hash of attributes, as every name that is given stores them.
sub _variable_attributes
{
    my ($given) = @_;
    my $attr = AI::MXNet::Symbol::AttrScope->current->get(delete $given->{attr});
    my $shape = delete $given->{shape};
    $attr->{__shape__} = '(' . join(',', @$shape) . ')' if defined $shape;
    for my $key (qw(lr_mult wd_mult)) {
        my $value = delete $given->{$key};
        $attr->{"__${key}__"} = "$value" if defined $value;
    }
    my ($dtype, $stype, $init, $layout, $kwargs) = delete @{$given}{qw(dtype stype init __layout__ kwargs)};
    if (defined $dtype) {
        my $id = DTYPE_STR_TO_MX->{$dtype}
            // _fail("Variable: dtype got $dtype, want one of " . join ', ', sort keys %{ DTYPE_STR_TO_MX() });
        $attr->{__dtype__} = $id;
    }
    if (defined $stype) {
        my $id = STORAGE_TYPE_STR_TO_ID->{$stype}
            // _fail("Variable: stype got $stype, want default, row_sparse or csr");
        $attr->{__storage_type__} = $id;
    }
    $attr->{__init__} = blessed($init) ? $init->dumps : $init if defined $init;
    $attr->{__layout__} = $layout if defined $layout;
    for my $key (sort keys %{ $kwargs // {} }) {
        _fail("Attribute name=$key is not supported. Additional attributes must start and end with double underscores, "
                . 'e.g, __yourattr__')
            if $key !~ /^__.*__$/;
        $attr->{$key} = $kwargs->{$key};
    }
    if (my ($unknown) = sort keys %$given) {
        _fail(
"Variable: no such named argument '$unknown', want one of attr, shape, lr_mult, wd_mult, dtype, init, stype, "
                . 'kwargs, __layout__');
    }
    return { map { $_ => "$attr->{$_}" } grep { defined $attr->{$_} } keys %$attr };
}

sub Variable
{
    my ($class, @args) = @_;
    my $name = @args % 2 ? shift @args : undef;
    my %given = @args;
    $name //= delete $given{name};
    _fail('Variable: got ' . (defined $name ? "'$name'" : 'nothing') . ', want a name')
        if not length($name // '')
        or ref $name;
    return AI::MXNet::Keshi::symbol_variable($name, _variable_attributes(\%given));
}
*var = \&Variable;

sub Group
{
    my ($class, $symbols) = @_;
    _fail('Group: Validation failed: want a list of AI::MXNet::Symbols')
        if ref $symbols ne 'ARRAY'
        or not @$symbols
        or grep { !_is_symbol($_) } @$symbols;
    return AI::MXNet::Keshi::symbol_group($symbols);
}

sub load
{
    my ($class, $file) = @_;
    open my $in, '<:raw', $file or _fail("load: cannot read '$file': $!");
    my $json = do { local $/ = undef; <$in> };
    return $class->load_json($json);
}

sub load_json
{
    my ($class, $json) = @_;
    return AI::MXNet::Keshi::symbol_from_json($json);
}

# The graph that made an array while it was recorded.
sub from_recorded
{
    my ($class, $array) = @_;
    return AI::MXNet::Keshi::symbol_recorded($array);
}

for my $name (qw(zeros ones)) {
    no strict 'refs';
    *$name = sub {
        my ($class, %given) = @_;
        _fail("$name: shape got nothing, want a list of sizes") if not defined $given{shape};
        $given{shape} = [$given{shape}] if not ref $given{shape};
        $given{dtype} //= 'float32';
        my $operator = "_$name";
        return __PACKAGE__->$operator(\%given);
    };
}

sub arange
{
    my ($class, %given) = @_;
    %given = (start => 0, step => 1, repeat => 1, infer_range => 0, dtype => 'float32', %given);
    for my $name (qw(start stop repeat)) {
        _fail("arange: $name got " . ($given{$name} // 'nothing') . ', want a whole number')
            if not defined $given{$name}
            or $given{$name} !~ /^-?\d+$/;
    }
    $given{infer_range} = $given{infer_range} ? 1 : 0;
    return __PACKAGE__->_arange(\%given);
}

sub eye
{
    my ($class, @args) = @_;
    return __PACKAGE__->_eye(@args);
}

# -- what a symbol is made of

sub name { return (AI::MXNet::Keshi::symbol_list($_[0], LIST_NAME))[0] }
sub handle { return AI::MXNet::Keshi::symbol_handle($_[0]) }
sub list_arguments { return [AI::MXNet::Keshi::symbol_list($_[0], LIST_ARGUMENTS)] }
sub list_outputs { return [AI::MXNet::Keshi::symbol_list($_[0], LIST_OUTPUTS)] }
sub list_auxiliary_states { return [AI::MXNet::Keshi::symbol_list($_[0], LIST_AUXILIARY_STATES)] }
sub list_inputs { return [AI::MXNet::Keshi::symbol_list($_[0], LIST_INPUTS)] }
sub get_internals { return AI::MXNet::Keshi::symbol_internals($_[0]) }
sub get_children { return AI::MXNet::Keshi::symbol_children($_[0]) }
sub tojson { return (AI::MXNet::Keshi::symbol_list($_[0], LIST_JSON))[0] }

sub _outputs
{
    my $self = shift;
    return [map { AI::MXNet::Keshi::symbol_output($self, $_) } 0 .. @{ $self->list_outputs } - 1];
}

sub attr
{
    my ($self, $key) = @_;
    return (AI::MXNet::Keshi::symbol_attr($self, $key))[0];
}

sub list_attr { return { AI::MXNet::Keshi::symbol_list($_[0], LIST_ATTRIBUTES) } }

sub attr_dict
{
    my $self = shift;
    my @all = AI::MXNet::Keshi::symbol_list($self, LIST_ALL_ATTRIBUTES);
    my %of;
    while (my ($name, $key, $value) = splice @all, 0, 3) {
        $of{$name}{$key} = $value;
    }
    return \%of;
}

sub _set_attr
{
    my ($self, @pairs) = @_;
    while (my ($key, $value) = splice @pairs, 0, 2) {
        AI::MXNet::Keshi::symbol_set_attr($self, $key, $value);
    }
    return;
}

# One argument chooses an output; several are those of the operator.
sub slice
{
    my ($self, @args) = @_;
    return $self->AI::MXNet::Symbol::Base::slice(@args) if not ref $self or @args > 1 or ref $args[0] eq 'HASH';
    _fail('slice: No slices supplied') if not @args;
    my $index = $args[0];
    return AI::MXNet::Keshi::symbol_output($self, $index) if $index =~ /^\d+$/;
    my @names = @{ $self->list_outputs };
    my @at = grep { $names[$_] eq $index } 0 .. $#names;
    _fail(qq(There are multiple outputs with name "$index")) if @at > 1;
    return AI::MXNet::Keshi::symbol_output($self, $at[0]) if @at;
    _fail("Index: [$index] is outside of the range of the symbol: " . @names . ' outputs') if $index =~ /^-\d+$/;
    return _fail(qq(Cannot find output that matches name "$index"));
}

sub reshape
{
    my ($self, @args) = @_;
    @args = (shape => $args[0]) if @args == 1 and ref $args[0] eq 'ARRAY';
    return $self->AI::MXNet::Symbol::Base::reshape(@args);
}

# bins is a symbol of edges, or how many.
sub histogram
{
    my ($self, @args) = @_;
    my $last = ref $args[-1] eq 'HASH' ? pop @args : undef;
    push @args, %$last if $last;
    for my $i (0 .. $#args - 1) {
        $args[$i] = 'bin_cnt' if not ref $args[$i] and $args[$i] eq 'bins' and not ref $args[$i + 1];
    }
    return $self->_histogram(@args);
}

# -- composition

sub deepcopy { return AI::MXNet::Keshi::symbol_compose($_[0], '', [], []) }

# A copy whose variables of these names are other symbols.
sub call
{
    my ($self, @args) = @_;
    my @positional;
    push @positional, shift @args while @args and _is_symbol($args[0]);
    my %given = @args % 2 ? _fail("compose: _compose expect 'Symbol' as arguments") : @args;
    my $name = delete $given{name} // '';
    _fail("compose: _compose only accept input Symbols either as positional or keyword arguments, not both")
        if @positional and %given;
    _fail("compose: _compose expect 'Symbol' as arguments") if grep { !_is_symbol($_) } values %given;
    @given{ $self->_open_inputs(scalar @positional) } = @positional if @positional;
    my @names = sort keys %given;
    return AI::MXNet::Keshi::symbol_compose($self, $name, \@names, [@given{@names}]);
}

# The first inputs of an operator that was called without any.
sub _open_inputs
{
    my ($self, $count) = @_;
    my ($name, $children) = ($self->name, $self->get_children);
    my @inputs = $children ? @{ $children->list_outputs } : ();
    _fail('compose: a network takes its inputs by name, want one of ' . join ', ', @{ $self->list_arguments })
        if not defined $name
        or grep({ index($_, "${name}_") } @inputs)
        or "@inputs" ne join ' ', @{ $self->list_inputs };
    _fail("compose: $name got $count inputs, want at most " . @inputs) if $count > @inputs;
    return @inputs[0 .. $count - 1];
}

# -- files

sub save
{
    my ($self, $file) = @_;
    open my $out, '>:raw', $file or _fail("save: cannot write '$file': $!");
    print {$out} $self->tojson or _fail("save: cannot write '$file': $!");
    close $out or _fail("save: cannot write '$file': $!");
    return;
}

sub STORABLE_freeze
{
    my ($self) = @_;
    return $self->tojson;
}

sub STORABLE_thaw
{
    my ($self, $cloning, $json) = @_;
    AI::MXNet::Keshi::symbol_adopt($self, AI::MXNet::Keshi::symbol_from_json($json));
    return;
}

# The graph as a text for people.
sub debug_str
{
    my $self = shift;
    require JSON::PP;
    my $graph = JSON::PP->new->decode($self->tojson);
    my @nodes = @{ $graph->{nodes} };
    my $input = sub {
        my ($node, $output, $version) = @{ $_[0] };
        return "$nodes[$node]{name}($output)" . ($nodes[$node]{op} eq 'null' ? " version=$version" : '');
    };
    my $list = sub {
        my ($what, @items) = @_;
        return map { "\t$what\[$_]=$items[$_]\n" } 0 .. $#items;
    };
    my @lines = ("Symbol Outputs:\n", $list->('output', map { "$nodes[$_->[0]]{name}($_->[1])" } @{ $graph->{heads} }));
    for my $node (@nodes) {
        if ($node->{op} eq 'null') {
            push @lines, "Variable:$node->{name}\n";
            next;
        }
        push @lines, '-' x 20 . "\nOp:$node->{op}, Name=$node->{name}\nInputs:\n";
        push @lines, $list->('arg', map { $input->($_) } @{ $node->{inputs} });
        my $attrs = $node->{attrs} or next;
        push @lines, "Attrs:\n", map { "\t$_=$attrs->{$_}\n" } sort keys %$attrs;
    }
    return join '', @lines;
}

sub grad { return _fail('grad: not implemented') }

# -- namespaces of operators

sub random { return 'AI::MXNet::Symbol::Random' }
sub contrib { return 'AI::MXNet::Contrib::Symbol' }
sub linalg { return 'AI::MXNet::LinAlg::Symbol' }
sub image { return 'AI::MXNet::Image::Symbol' }
sub sparse { return 'AI::MXNet::Symbol::Sparse' }

# An operator's own name, or the one that it has for sparse arrays.
package AI::MXNet::Symbol::Sparse;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

our $AUTOLOAD;

sub DESTROY { }

sub AUTOLOAD                          ## no critic (ProhibitAutoloading)
{
    my ($class, @args) = @_;
    my ($name) = $AUTOLOAD =~ /(\w+)$/;
    my ($method) = grep { AI::MXNet::Symbol->can($_) } $name, "_sparse_$name";
    AI::MXNet::Keshi::fail(qq(Can't locate object method "$name" via package "$class")) if not $method;
    return AI::MXNet::Symbol->$method(@args);
}

1;

__END__

=head1 NAME

AI::MXNet::Symbol - graphs of operators

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $data = mx->sym->Variable('data');
    my $net = mx->sym->FullyConnected($data, num_hidden => 2, name => 'fc');
    $net = mx->sym->tanh($net * 2 + 1, name => 'out');
    print join(' ', @{ $net->list_arguments }), "\n";           # data fc_weight fc_bias
    my ($args, $outs) = $net->infer_shape(data => [4, 3]);
    print join('x', @{ $args->[1] }), "\n";                     # 2x3
    my $exec = $net->simple_bind(ctx => mx->cpu, shapes => { data => [4, 3] });
    $_ .= 0.5 for values %{ $exec->arg_dict };
    print $exec->forward(1)->[0]->aspdl;
    $exec->backward;
    print $exec->grad_dict->{fc_weight}->aspdl;

=head1 DESCRIPTION

A symbol is a list of outputs of nodes; a node is a variable or a call of an operator that has not been made. Symbols are put
together, asked about, saved, and bound to arrays to run: see L<AI::MXNet::Executor>. Every operator of the library is a method,
see L<AI::MXNet::Symbol::Base>; arithmetic and comparison are overloaded, and make nodes too. Arithmetic on two symbols wants
equal shapes; C<broadcast_add> and its kin do not.

=head2 Making symbols

=over 4

=item Variable($name, attr => {}, shape =>, dtype =>, lr_mult =>, wd_mult =>, init =>, stype =>, kwargs => {})

Also C<var>. In a shape 0 is an unknown size.

=item Group(\@symbols)

=item zeros(shape =>), ones(shape =>), arange(start => 0, stop =>, step => 1, repeat => 1)

=item load($file), load_json($text)

Files of MXNet, of any version.

=back

=head2 Parts

C<name> (undef where there are several nodes), C<list_arguments>, C<list_outputs>, C<list_auxiliary_states>, C<list_inputs>,
C<get_internals> (the outputs of all nodes), C<get_children> (the inputs of this node), C<slice($i)> or C<slice($name)> (one
output), C<@$symbol> (all of them). C<attr($key)>, C<list_attr>, C<attr_dict> are attributes: of this node, of all nodes.

=head2 Composition

C<< $symbol->(data => $other, name => 'both') >> is a copy in which the variable C<data> is another symbol. C<deepcopy> is a
copy alone.

=head2 Inference

C<infer_shape(name =E<gt> [...], ...)> returns lists of the shapes of arguments, outputs and auxiliary states, or three undef
when they do not all follow; C<infer_shape_partial> returns what does. Shapes follow forwards and backwards. C<infer_type> does
the same for dtypes. Contradictions die, with the name of the node.

=head2 Files

C<tojson>, C<save($file)>, and L<Storable>.

=cut
